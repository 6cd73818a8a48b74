"""Backups of a state: create, list, show, verify, restore."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ._ffi import check, ffi, lib, new_err, take, utf8
from .operation import ProgressCallback, finish

if TYPE_CHECKING:
    from .state import State


@dataclass(frozen=True)
class Backup:
    """One backup as its manifest describes it; `manifest` has everything."""

    id: str
    kind: str
    created: datetime
    sequence: int
    records: int
    raw_bytes: int
    stored_bytes: int
    codec: str
    label: str
    tags: tuple[str, ...]
    manifest: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, row: dict[str, Any]) -> Backup:
        """From a manifest or a row of the list."""
        return cls(
            id=row["id"],
            kind=row["kind"],
            created=datetime.fromtimestamp(row["time_unix_ms"] / 1000, timezone.utc),
            sequence=row["sequence_to"] if "sequence_to" in row else row["sequence"],
            records=row["records"],
            raw_bytes=row["raw_bytes"],
            stored_bytes=row["stored_bytes"],
            codec=row["codec"],
            label=row.get("label") or "",
            tags=tuple(row.get("tags") or ()),
            manifest=row,
        )


@dataclass(frozen=True)
class VerifyReport:
    """What a verify found; each error and warning names the object and what is wrong with it."""

    is_valid: bool
    checksum_valid: bool
    integrity_valid: bool
    errors: list[str]
    warnings: list[str]
    records: int


@dataclass(frozen=True)
class RestoreReport:
    """What a restore did: `sequence` is the state's now, `backup_sequence` the backup's."""

    id: str
    records: int
    sequence: int
    backup_sequence: int


class Backups:
    """The backups of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(
        self,
        *,
        label: str = "",
        tags: Sequence[str] = (),
        codec: str | None = None,
        level: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> Backup:
        """A full backup of one instant; writers go on. `progress` is called on this thread."""
        options: dict[str, Any] = {"tags": list(tags)}
        if label:
            options["label"] = label
        if codec is not None:
            options["codec"] = codec
        if level is not None:
            options["level"] = level
        text = json.dumps(options).encode()
        err, op = new_err(), ffi.new("statekeep_op **")
        check(lib.statekeep_backup_create_start(self._state.handle, text, len(text), op, err), err)
        return Backup.of(finish(op[0], progress))

    def list(self) -> list[Backup]:
        """All backups, oldest first."""
        err, out = new_err(), ffi.new("statekeep_buf *")
        check(lib.statekeep_backup_list_json(self._state.handle, out, err), err)
        return [Backup.of(row) for row in json.loads(take(out))["backups"]]

    def show(self, backup: str | Backup) -> Backup:
        """One backup, whole."""
        raw, err, out = _id(backup), new_err(), ffi.new("statekeep_buf *")
        check(lib.statekeep_backup_show_json(self._state.handle, raw, len(raw), out, err), err)
        return Backup.of(json.loads(take(out)))

    def verify(
        self,
        backup: str | Backup,
        *,
        quick: bool = False,
        progress: ProgressCallback | None = None,
    ) -> VerifyReport:
        """Reads and checks a backup: every byte, or with `quick` only manifest and sizes."""
        raw, err, op = _id(backup), new_err(), ffi.new("statekeep_op **")
        level = lib.STATEKEEP_VERIFY_QUICK if quick else lib.STATEKEEP_VERIFY_FULL
        check(
            lib.statekeep_backup_verify_start(self._state.handle, raw, len(raw), level, op, err), err
        )
        row = finish(op[0], progress)
        return VerifyReport(
            is_valid=row["is_valid"],
            checksum_valid=row["checksum_valid"],
            integrity_valid=row["integrity_valid"],
            errors=[_problem(problem) for problem in row["errors"]],
            warnings=[_problem(problem) for problem in row["warnings"]],
            records=row["records"],
        )

    def restore(
        self, backup: str | Backup, *, progress: ProgressCallback | None = None
    ) -> RestoreReport:
        """Replaces the whole state by a backup, all or nothing; open handles stay valid."""
        raw, err, op = _id(backup), new_err(), ffi.new("statekeep_op **")
        check(
            lib.statekeep_backup_restore_start(
                self._state.handle, raw, len(raw), ffi.NULL, 0, op, err
            ),
            err,
        )
        row = finish(op[0], progress)
        return RestoreReport(**{name: row[name] for name in RestoreReport.__dataclass_fields__})


def _problem(row: dict[str, Any]) -> str:
    return f"{row['object']}: {row['what']}" if row.get("object") else str(row["what"])


def _id(backup: str | Backup) -> bytes:
    return utf8(backup.id if isinstance(backup, Backup) else backup, "backup id")
