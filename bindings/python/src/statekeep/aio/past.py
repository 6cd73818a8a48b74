"""Snapshots, histories, differences and rows for coroutines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .. import past, query, snapshot
from ._lift import Opened, Stream, lifted
from .scope import ScopeView


class History(Stream[past.Version]):
    """The versions of a key, newest first."""

    @property
    def compacted(self) -> int | None:
        """Versions that ended before this commit are not kept any more; known once iteration began."""
        return self._source.compacted if isinstance(self._source, past.History) else None


class Differences(Stream[past.Difference]):
    """The keys that differ between two commits, in order."""


class Rows(Stream[query.Row]):
    """The rows of a query."""

    @property
    def source(self) -> query.Rows | None:
        """The blocking iterator, which knows `next`, `examined` and `index`; None until the first row."""
        return self._source if isinstance(self._source, query.Rows) else None


class Snapshot(Opened[snapshot.Snapshot]):
    """The state right after one commit: `async with state.at(sequence) as then: ...`."""

    get = lifted(snapshot.Snapshot.get)
    exists = lifted(snapshot.Snapshot.exists)
    record = lifted(snapshot.Snapshot.record)
    scopes = lifted(snapshot.Snapshot.scopes)

    async def sequence(self) -> int:
        """The last commit that it holds."""
        return (await self._held()).sequence

    async def time(self) -> datetime:
        """The time of that commit."""
        return (await self._held()).time

    def scope(self, name: str = "global") -> ScopeView:
        """A scope."""
        return ScopeView(self, name)

    def query(self, query: dict[str, Any] | None = None, /, **more: Any) -> Rows:
        """The records that matched, as `State.query`; all pages are of this one commit."""
        return Rows(self._later(snapshot.Snapshot.query, query, **more))
