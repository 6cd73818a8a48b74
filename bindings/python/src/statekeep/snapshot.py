"""Snapshots: the state as it was at one commit, and stays for whoever reads it here."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

from ._ffi import document, lib, number
from ._owned import Owned
from ._reader import Reader, Reads
from ._time import moment
from .query import Rows, members
from .scope import ScopeView


class Snapshot(Reader):
    """The state right after one commit; nothing that is written later shows. It keeps that past from
    being trimmed: use it as a context manager, or call `close()`."""

    _what = "snapshot"
    _reads = Reads(
        lib.statekeep_snapshot_get,
        lib.statekeep_snapshot_exists,
        lib.statekeep_snapshot_record_json,
        lib.statekeep_snapshot_scan_open,
    )

    def __init__(self, pointer: Any, state: Owned) -> None:
        super().__init__(pointer, lib.statekeep_snapshot_close)
        self._state = state  # Keeps it open.

    @cached_property
    def sequence(self) -> int:
        """The last commit that it holds."""
        return int(number("uint64_t", lib.statekeep_snapshot_sequence, self.handle))

    @cached_property
    def time(self) -> datetime:
        """The time of that commit."""
        return moment(number("int64_t", lib.statekeep_snapshot_time, self.handle))

    def scope(self, name: str = "global") -> ScopeView:
        """A scope as a mapping."""
        return ScopeView(self, name)

    def scopes(self) -> list[str]:
        """The scopes that held keys, in order."""
        scopes: list[str] = document(lib.statekeep_snapshot_scope_list_json, self.handle)
        return scopes

    def query(self, query: dict[str, Any] | None = None, /, **more: Any) -> Rows:
        """The records that matched, as `State.query`; all pages are of this one commit."""
        return Rows(self, lib.statekeep_snapshot_query_json, members(query, more))

    def __repr__(self) -> str:
        return "<statekeep.Snapshot closed>" if self.closed else f"<statekeep.Snapshot {self.sequence}>"
