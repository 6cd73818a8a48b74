"""A state or a backup as JSON text, and back; docs/exchange.md describes every line of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ._ffi import handle, invalid, lib, name, options as _options
from ._owned import Owned
from ._time import unix_ms
from .operation import ProgressCallback, finish

if TYPE_CHECKING:
    from .backup_reports import Backup

#: The name of a record: tenant (`""` is the default one), scope, key.
Name = tuple[str, str, str]


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote: `text_bytes` before compression, `bytes` after it."""

    path: str
    sequence: int
    records: int
    text_bytes: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or would do. None stands for what was not counted: a state that was
    replaced as a whole is not compared. The samples are those of a dry run."""

    dry_run: bool
    records: int
    written: int
    added: int | None
    changed: int | None
    unchanged: int | None
    removed: int | None
    expired: int
    not_selected: int
    commits: int
    sequence: int | None
    times_kept: bool
    added_samples: tuple[Name, ...] = ()
    changed_samples: tuple[Name, ...] = ()
    removed_samples: tuple[Name, ...] = ()

    @classmethod
    def of(cls, row: dict[str, Any]) -> ImportReport:
        """From the library's JSON."""
        samples = row["samples"] or {}
        kinds = ("added", "changed", "removed")
        named: dict[str, Any] = {f"{kind}_samples": _names(samples.get(kind, ())) for kind in kinds}
        plain = [field for field in cls.__dataclass_fields__ if field not in named]
        return cls(**{field: row[field] for field in plain}, **named)


class Exchange(Owned):
    """Writes the state as text and takes text into it."""

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        backup: str | Backup | None = None,
        at: int | datetime | None = None,
        tenant: str | None = None,
        scope: str | None = None,
        key: str | None = None,
        format: Literal["jsonl", "json"] | None = None,  # noqa: A002 - as the command line calls it
        codec: str | None = None,
        level: int | None = None,
        overwrite: bool = False,
        limit_rate: int = 0,
        progress: ProgressCallback | None = None,
    ) -> ExportReport:
        """Writes the state or a backup; with `at`, a sequence or a time, a moment of the state's past
        or in the backup's history.

        The file has its name only once it is whole. `tenant` (`""` is the default one), `scope` and
        `key` (patterns) narrow what is written; format and codec are else those of the file's name
        (`.jsonl`, `.json`, and `.zst` or `.gz` behind it). `limit_rate` is the most bytes a second that
        are read from the backup and written, 0 for no limit.
        """
        wanted: dict[str, Any] = {
            "backup": getattr(backup, "id", backup),
            "tenant": tenant,
            "scope": scope,
            "key": key,
            "format": format,
            "codec": codec,
            "level": level,
            "overwrite": overwrite,
        }
        if isinstance(at, datetime):
            wanted["at_unix_ms"] = unix_ms(at)
        else:
            wanted["at_sequence"] = at
        asked = *name(_path(path), "path"), *_options(wanted)
        op = handle("statekeep_op", lib.statekeep_export_start, self.handle, *asked)
        row = finish(op, progress, limit_rate)
        return ExportReport(**{field: row[field] for field in ExportReport.__dataclass_fields__})

    def import_(
        self,
        path: str | os.PathLike[str],
        *,
        mode: Literal["merge", "replace"],
        plain: bool = False,
        tenant: str | None = None,
        scope: str | None = None,
        key: str | None = None,
        dry_run: bool = False,
        principal: str | None = None,
        correlation_id: str | None = None,
        limit_rate: int = 0,
        progress: ProgressCallback | None = None,
    ) -> ImportReport:
        """Takes the records of a file into the state: `"merge"` lets others stay, `"replace"` removes
        them in the part that the file covers, all or nothing.

        `plain` reads lines of other programs: objects with `scope`, `key` and `value`. A merge that
        was stopped can be run again, with the same result. `limit_rate` is the most bytes a second that
        are read, 0 for no limit.
        """
        wanted = {
            "mode": mode,
            "plain": plain,
            "tenant": tenant,
            "scope": scope,
            "key": key,
            "dry_run": dry_run,
            "principal": principal,
            "correlation_id": correlation_id,
        }
        asked = *name(_path(path), "path"), *_options(wanted)
        op = handle("statekeep_op", lib.statekeep_import_start, self.handle, *asked)
        row = finish(op, progress, limit_rate)
        return ImportReport.of(row)


def _names(rows: Any) -> tuple[Name, ...]:
    return tuple((row["tenant"], row["scope"], row["key"]) for row in rows)


def _path(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        raise invalid("path must be text")
    return text
