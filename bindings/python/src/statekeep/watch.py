"""Watching: the changes of a state in the order of its commits, and the durable cursors of those who
read them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import errors
from ._ffi import call, document, ffi, found, handle, invalid, lib, name, options, take
from ._owned import Owned
from ._time import Duration, moment
from ._values import decode
from ._waiting import wait


@dataclass(frozen=True)
class Change:
    """One key that was changed by a commit; `last_of_commit` says that the commit has no more.

    `op` is `"put"` or `"delete"` (with `_ephemeral` for values in memory only). `kind` is that of the
    value, None without one; `value_gone` says that it was asked for and is not kept any more. With the
    `commit_kind` `"restore"` the whole state was replaced, and `scope`, `key` and `op` are None.
    """

    sequence: int
    time: datetime
    commit_kind: str
    principal: str | None
    correlation_id: str | None
    tenant: str
    scope: str | None
    key: str | None
    op: str | None
    kind: str | None
    value: Any
    value_gone: bool
    last_of_commit: bool

    @classmethod
    def of(cls, row: dict[str, Any], value: Any) -> Change:
        """From the library's JSON, with the value beside it."""
        fields = cls.__dataclass_fields__.keys() - {"time", "value"}
        return cls(
            **{field: row[field] for field in fields},
            time=moment(row["time_unix_ms"]),
            value=value,
        )


@dataclass(frozen=True)
class Cursor:
    """A durable place among the changes: all up to the commit `sequence` are acknowledged, and
    `changes` of the next one. A `system` one is the library's own: no reader, it holds the past for the
    next incremental backup."""

    name: str
    sequence: int
    changes: int
    created: datetime
    updated: datetime
    watched: bool
    system: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> Cursor:
        """From the library's JSON."""
        return cls(
            name=row["name"],
            sequence=row["sequence"],
            changes=row["changes"],
            created=moment(row["created_unix_ms"]),
            updated=moment(row["updated_unix_ms"]),
            watched=row["watched"],
            system=row["system"],
        )


class Watch(Owned, Iterator[Change]):
    """The changes that match, in order: `for change in state.watch(): ...` waits for each, and ends when
    the watch or the state is closed. A reader that is slow costs the writers nothing; it only keeps the
    past after its place. From any thread; a change goes to one of the callers."""

    _what = "watch"

    def __init__(self, pointer: Any, state: Owned) -> None:
        super().__init__(pointer, lib.statekeep_watch_close)
        self._state = state  # Keeps it open.

    def __next__(self) -> Change:
        try:
            change = self.next()
        except errors.Closed:
            raise StopIteration from None
        if change is None:
            raise StopIteration
        return change

    def next(self, timeout: Duration | None = None) -> Change | None:
        """The next change; None when none came within `timeout` seconds, or when the interpreter ends.

        Raises `Closed` once the watch or the state is closed.
        """
        out, value, kind = ffi.new("statekeep_buf *"), ffi.new("statekeep_buf *"), ffi.new("uint32_t *")
        if not self._wait(timeout, None, out, kind, value):
            return None
        row, data = json.loads(take(out)), take(value)
        return Change.of(row, decode(kind[0], data) if kind[0] else None)

    def wait(self, timeout: Duration | None = None, *, stop: threading.Event | None = None) -> bool:
        """Waits until there is a change for `next`, and leaves it there; False when none came within
        `timeout` seconds, when `stop` was set, or when the interpreter ends."""
        return self._wait(timeout, stop, ffi.NULL, ffi.NULL, ffi.NULL)

    def _wait(
        self, timeout: Duration | None, stop: threading.Event | None, *outputs: Any
    ) -> bool:
        def look(slice_ms: int, err: Any) -> int:
            return int(lib.statekeep_watch_next(self.handle, slice_ms, *outputs, err))

        return wait(look, timeout, stop)

    def acknowledge(self) -> None:
        """Stores, as the place of the watch's cursor, that every change handed out so far has been
        dealt with. What is not acknowledged is handed out again by the next watch of the cursor."""
        call(lib.statekeep_watch_acknowledge, self.handle)


class Watches(Owned):
    """Watches a state."""

    def watch(
        self,
        *,
        after: int | None = None,
        cursor: str | None = None,
        scope: str | None = None,
        key: str | None = None,
        values: bool = True,
        all_tenants: bool = False,
    ) -> Watch:
        """Watches what is committed from now on, or from the past: `after` the commit of a sequence, or
        after what was last acknowledged under the name of a durable `cursor`, which is made when it is
        not there.

        `scope` and `key` are patterns (`*`, `?`). Raises `Compacted`, with `oldest_sequence` in the
        detail, when the past to begin with has been trimmed, and `Busy` while another watch reads the
        cursor.
        """
        if after is not None and cursor is not None:
            raise invalid("give `after` or `cursor`, not both")
        asked = options(
            {
                "from": {"cursor": cursor} if cursor is not None else after,
                "scope": scope,
                "key": key,
                "values": values,
                "all_tenants": all_tenants,
            }
        )
        return Watch(handle("statekeep_watch", lib.statekeep_watch_open, self.handle, *asked), self)

    def cursors(self) -> list[Cursor]:
        """The durable cursors of the state, by name."""
        return [Cursor.of(row) for row in document(lib.statekeep_cursor_list_json, self.handle)]

    def delete_cursor(self, cursor: str | Cursor) -> bool:
        """Forgets a cursor, so that it keeps no past any more; answers whether there was one."""
        text = cursor.name if isinstance(cursor, Cursor) else cursor
        return found(lib.statekeep_cursor_delete, self.handle, *name(text, "cursor"))
