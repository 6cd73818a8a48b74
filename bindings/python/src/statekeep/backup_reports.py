"""What backups and their repository answer: a backup, reports, what is in the trash."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ._time import moment, moment_or_none


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
    pin: bool
    parent: str | None
    chain: int
    full_reason: str
    merged_from: str | None
    history_from: int | None
    last_verified: datetime | None
    last_restore_test: datetime | None
    manifest: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, row: dict[str, Any]) -> Backup:
        """From a manifest or a row of the list."""
        return cls(
            id=row["id"],
            kind=row["kind"],
            created=moment(row["time_unix_ms"]),
            sequence=row["sequence_to"] if "sequence_to" in row else row["sequence"],
            records=row["records"],
            raw_bytes=row["raw_bytes"],
            stored_bytes=row["stored_bytes"],
            codec=row["codec"],
            label=row.get("label") or "",
            tags=tuple(row.get("tags") or ()),
            pin=row["pin"],
            parent=row.get("parent"),
            chain=row["chain"],
            full_reason=row.get("full_reason") or "",
            merged_from=row.get("merged_from"),
            history_from=row.get("history_from"),
            last_verified=moment_or_none(row.get("last_verified_unix_ms")),
            last_restore_test=moment_or_none(row.get("last_restore_test_unix_ms")),
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
    """What a restore did: `sequence` is the state's now, `backup_sequence` the backup's.

    `replaced` is the namespace that `State.undo` goes back to after the restore of a whole state,
    `safety_backup` the backup that was made before. `added`, `changed` and `removed` are those of a part
    or of a dry run, and `report` is all that the library tells."""

    id: str
    records: int
    sequence: int
    backup_sequence: int
    added: int | None
    changed: int | None
    removed: int | None
    replaced: str | None
    safety_backup: str | None
    report: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class BackupDiff:
    """What became of the records of a backup; `samples` has some of the names."""

    added: int
    changed: int
    removed: int
    unchanged: int
    samples: dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class Stray:
    """An object that no manifest leads to: `kind` is `abandoned`, `unreferenced` or `finished`."""

    object: str
    bytes: int
    backup: str
    kind: str
    since: datetime


@dataclass(frozen=True)
class Strays:
    """How many strays there are, what they take, and the first of them by name."""

    objects: int
    bytes: int
    listed: tuple[Stray, ...]

    @classmethod
    def of(cls, row: dict[str, Any]) -> Strays:
        """From a report."""
        listed = tuple(
            Stray(
                object=stray["object"],
                bytes=stray["bytes"],
                backup=stray["backup"],
                kind=stray["kind"],
                since=moment(stray["since_unix_ms"]),
            )
            for stray in row["listed"]
        )
        return cls(objects=row["objects"], bytes=row["bytes"], listed=listed)


@dataclass(frozen=True)
class RepositoryReport:
    """What a check of the repository found; `report` has everything. Names, sizes and documents are
    looked at; `unread_bytes` are those of segments, which `verify` reads."""

    is_valid: bool
    encrypted: bool
    unread_bytes: int
    backups: int
    problems: list[str]
    strays: Strays
    undecided: str | None
    warnings: list[str]
    report: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class RepositoryKey:
    """What opens an encrypted repository: a `"passphrase"` or a `"key_file"`. `in_use` opened it here."""

    id: str
    kind: str
    label: str
    created: datetime
    in_use: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> RepositoryKey:
        """From a row of the list."""
        created = moment(row["created_unix_ms"])
        return cls(row["id"], row["kind"], row["label"] or "", created, row["in_use"])


@dataclass(frozen=True)
class CleanupReport:
    """What a cleanup did, or after a dry run would do; `report` has everything.

    `failure` is why nothing was decided, such as a policy that failed. `decisions` says of each backup
    whether it stays (`keep`), why (`reason`), and what each policy said (`votes`). `state` has the limits
    of the state itself (`limits`), and what was `removed` of it, or would be (`would_remove`)."""

    dry_run: bool
    evaluated: int
    retained: int
    deleted: int
    would_delete: int
    space_freed: int
    decisions: list[dict[str, Any]]
    state: dict[str, Any]
    failure: str | None
    report: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class DeletedBackup:
    """A backup that is deleted and not removed yet. One that is `purged` cannot come back."""

    id: str
    deleted: datetime
    grace_until: datetime
    reason: str
    principal: str
    purged: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> DeletedBackup:
        """From a row of the trash."""
        return cls(
            id=row["id"],
            deleted=moment(row["deleted_unix_ms"]),
            grace_until=moment(row["grace_until_unix_ms"]),
            reason=row["reason"],
            principal=row["principal"],
            purged=row["purged"],
        )


@dataclass(frozen=True)
class PruneReport:
    """What was removed, or after a dry run what would be; `undecided` is why others were kept."""

    dry_run: bool
    would_remove: Strays
    removed: Strays
    undecided: str | None


def problem_text(row: dict[str, Any]) -> str:
    """What is wrong, and with which object."""
    return f"{row['object']}: {row['what']}" if row.get("object") else str(row["what"])
