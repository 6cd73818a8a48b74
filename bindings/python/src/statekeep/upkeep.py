"""Upkeep: the removal of what has expired, and of the past that nobody asks for any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ._ffi import call, document, lib, options
from ._owned import Owned
from ._time import moment_or_none


@dataclass(frozen=True)
class TrimReport:
    """What was trimmed, or would be. `floor` is the oldest sequence that can be read, `held_by` what
    keeps more of the past than was asked for."""

    dry_run: bool
    journal_rows: int
    history_rows: int
    bytes: int
    floor_before: int
    floor: int
    held_by: list[str]

    @classmethod
    def of(cls, row: dict[str, Any]) -> TrimReport:
        """From the library's JSON."""
        return cls(**{field: row[field] for field in cls.__dataclass_fields__})


@dataclass(frozen=True)
class UpkeepStatus:
    """What the upkeep does (`"sweep"`, `"trim"` or None) and what it did last. `index_error` says why
    rows of dropped indexes are still there, if they are; each trim has it tried again."""

    running: str | None
    paused: bool
    interval_ms: int
    last_run: datetime | None
    last_sweep: int | None
    last_trim: TrimReport | None
    last_error: str | None
    index_error: str | None


class Upkeep(Owned):
    """It runs by itself at every `upkeep_interval_ms`; all of it can be asked for, too."""

    def sweep(self) -> int:
        """Removes the keys whose time has come, now; returns how many."""
        return int(document(lib.statekeep_upkeep_sweep_json, self.handle)["removed"])

    def trim(self, *, dry_run: bool = False) -> TrimReport:
        """Forgets the past that the configuration does not ask for and that no snapshot, backup or
        cursor needs; with `dry_run` it only tells."""
        asked = options({"dry_run": dry_run})
        return TrimReport.of(document(lib.statekeep_upkeep_trim_json, self.handle, *asked))

    def upkeep(self) -> UpkeepStatus:
        """What the upkeep does and did."""
        row = document(lib.statekeep_upkeep_status_json, self.handle)
        sweep, trim = row["last_sweep"], row["last_trim"]
        return UpkeepStatus(
            running=row["running"],
            paused=row["paused"],
            interval_ms=row["interval_ms"],
            last_run=moment_or_none(row["last_run_unix_ms"]),
            last_sweep=sweep and sweep["removed"],
            last_trim=trim and TrimReport.of(trim),
            last_error=row["last_error"],
            index_error=row["index_error"],
        )

    def pause_upkeep(self) -> None:
        """Stops the upkeep until `resume_upkeep`; a run in progress ends as `Cancelled`."""
        call(lib.statekeep_upkeep_pause, self.handle)

    def resume_upkeep(self) -> None:
        """Lets the upkeep run again."""
        call(lib.statekeep_upkeep_resume, self.handle)
