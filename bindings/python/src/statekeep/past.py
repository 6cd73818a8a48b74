"""The past of a state: snapshots of it, the versions of a key, what differs between two commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Union

from ._ffi import document, handle, lib, number, options, place, unsigned
from ._owned import Owned
from ._pages import Pages
from ._time import moment_or_none, unix_ms
from .records import Record, record_of, value_of
from .snapshot import Snapshot

#: A point in the past: a commit's sequence, a time, or the commit of a snapshot.
When = Union[int, datetime, Snapshot]


@dataclass(frozen=True)
class Version:
    """What a key was from the commit `sequence` on, until the commit `until` if any.

    `op` is `"put"` or `"delete"` (with `_ephemeral` for values in memory only), `commit_kind` what made
    the commit, such as `"commit"` or `"expire"`. A delete has no `record` and the value None. What is
    not kept any more, such as the time of a commit long ago, is None.
    """

    sequence: int
    time: datetime | None
    until: int | None
    op: str | None
    commit_kind: str | None
    principal: str | None
    correlation_id: str | None
    value: Any
    record: Record | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Version:
        """From the library's JSON."""
        plain = ("sequence", "until", "op", "commit_kind", "principal", "correlation_id")
        return cls(
            **{field: row[field] for field in plain},
            time=moment_or_none(row["time_unix_ms"]),
            value=value_of(row["record"]),
            record=record_of(row["record"]),
        )


@dataclass(frozen=True)
class Difference:
    """A key that is not the same at two commits: `"added"`, `"changed"` or `"removed"`.

    `before` and `after` are the values, None where there is none; the records tell that from null.
    """

    scope: str
    key: str
    change: str
    before: Any
    after: Any
    record_before: Record | None
    record_after: Record | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Difference:
        """From the library's JSON."""
        return cls(
            scope=row["scope"],
            key=row["key"],
            change=row["change"],
            before=value_of(row["before"]),
            after=value_of(row["after"]),
            record_before=record_of(row["before"]),
            record_after=record_of(row["after"]),
        )


class History(Pages[Version]):
    """The versions of a key, newest first, read page by page while iterating."""

    def __init__(self, state: Owned, scope: str, key: str) -> None:
        super().__init__()
        self._state = state
        self._place = place(scope, key)
        #: Versions that ended before this commit are not kept any more; known once iteration began.
        self.compacted: int | None = None

    def _read(self, after: int | None) -> tuple[list[Version], int | None]:
        asked = options({"before": after})
        page = document(lib.statekeep_history_json, self._state.handle, *self._place, *asked)
        self.compacted = page["compacted"]
        return [Version.of(row) for row in page["versions"]], page["next"]


class Differences(Pages[Difference]):
    """The keys that differ between two commits, in order, read page by page while iterating."""

    def __init__(self, state: Owned, before: int, after: int, asked: dict[str, Any]) -> None:
        super().__init__()
        self._state = state
        self._commits = before, after
        self._asked = asked

    def _read(self, after: Any) -> tuple[list[Difference], Any]:
        asked = options({**self._asked, "after": after})
        page = document(lib.statekeep_diff_json, self._state.handle, *self._commits, *asked)
        return [Difference.of(row) for row in page["entries"]], page["next"]


class Past(Owned):
    """Reads of what was. Raises `Compacted` where the past that is asked for has been trimmed."""

    def snapshot(self) -> Snapshot:
        """The state as it is now, for as long as the snapshot is open."""
        return Snapshot(handle("statekeep_snapshot", lib.statekeep_snapshot_open, self.handle), self)

    def at(self, when: int | datetime) -> Snapshot:
        """The state right after a commit, by its sequence, or at a time."""
        if isinstance(when, datetime):
            open_at, number = lib.statekeep_snapshot_open_at_time, unix_ms(when)
        else:
            open_at, number = lib.statekeep_snapshot_open_at, unsigned(when, "sequence")
        return Snapshot(handle("statekeep_snapshot", open_at, self.handle, number), self)

    def sequence_at(self, time: datetime) -> int:
        """The last commit at or before a time; 0 for a time before the first one."""
        return int(number("uint64_t", lib.statekeep_sequence_at, self.handle, unix_ms(time)))

    def history(self, scope: str, key: str) -> History:
        """What a key was over time and who changed it, newest first."""
        return History(self, scope, key)

    def diff(
        self, before: When, after: When, *, scope: str | None = None, prefix: str | None = None
    ) -> Differences:
        """What differs between two commits: of all scopes, of one, or of its keys with a prefix."""
        asked = {"scope": scope, "prefix": prefix}
        return Differences(self, self._commit(before), self._commit(after), asked)

    def _commit(self, when: When) -> int:
        if isinstance(when, Snapshot):
            return when.sequence
        return self.sequence_at(when) if isinstance(when, datetime) else unsigned(when, "sequence")
