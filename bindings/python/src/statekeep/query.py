"""Queries over JSON values, and the indexes that make them cheap. docs/queries.md has the language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._ffi import call, document, handle, lib, name, options
from ._owned import Owned
from ._pages import Pages
from .operation import ProgressCallback, finish
from .records import value_of


@dataclass(frozen=True)
class Row:
    """A record that matched; `value` is what `select` asked for, else all of it."""

    scope: str
    key: str
    value: Any
    sequence: int


@dataclass(frozen=True)
class Explanation:
    """How a query would be answered: by which index, what is checked, and how many rows are read."""

    index: str | None
    range: list[str]
    checked: list[str]
    order: str
    estimate: int


@dataclass(frozen=True)
class Index:
    """A declared index; it serves queries once `state` is `"ready"`."""

    name: str
    tenant: str
    scope: str
    path: str
    state: str
    scanned: int
    indexed: int
    failure: str | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Index:
        """From the library's JSON."""
        return cls(**{field: row[field] for field in cls.__dataclass_fields__})


class Rows(Pages[Row]):
    """The rows of a query, read page by page while iterating. Each page is of one commit; ask a
    snapshot for all of the same one."""

    def __init__(self, reader: Owned, ask: Any, query: dict[str, Any]) -> None:
        super().__init__()
        self._reader = reader
        self._ask = ask
        self._query = query
        self._left: int | None = query.get("limit") or None
        #: The `after` of a query that goes on behind the pages read so far; None at the end.
        self.next: str | None = None
        #: How many records were read and checked so far.
        self.examined = 0
        #: The index that served, if any.
        self.index: str | None = None

    def _read(self, after: str | None) -> tuple[list[Row], str | None]:
        query = dict(self._query) if after is None else {**self._query, "after": after}
        if self._left is not None:
            query["limit"] = min(self._left, PAGE_ROWS)
        page = document(self._ask, self._reader.handle, *options(query))
        rows = [
            Row(scope=row["scope"], key=row["key"], value=value_of(row), sequence=row["sequence"])
            for row in page["rows"]
        ]
        self.next = page["next"]
        self.examined += page["facts"]["examined"]
        self.index = page["facts"]["index"]
        if self._left is not None:
            self._left -= len(rows)
        return rows, None if self._left == 0 else self.next


#: Most rows that are asked for at a time.
PAGE_ROWS = 1_000


def members(query: dict[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """A query's document, with the members that were given by name over it."""
    return {**(query or {}), **more}


class Queries(Owned):
    """The queries and indexes of a state."""

    def query(self, query: dict[str, Any] | None = None, /, **more: Any) -> Rows:
        """The records that match, over all pages: `state.query(scope="agent:*", where=[{"path":
        "$.status", "eq": "open"}], order_by=[{"path": "$.n"}], limit=10)`. `limit` is of all rows."""
        return Rows(self, lib.statekeep_query_json, members(query, more))

    def explain(self, query: dict[str, Any] | None = None, /, **more: Any) -> Explanation:
        """How a query would be answered now, without answering it."""
        row = document(lib.statekeep_explain_json, self.handle, *options(members(query, more)))
        return Explanation(**{field: row[field] for field in Explanation.__dataclass_fields__})

    def create_index(
        self,
        name: str,
        path: str,
        *,
        scope: str = "*",
        tenant: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> Index:
        """Declares an index over a JSON path and waits until it serves; readers and writers go on.

        An exception on the way, as from `progress`, drops it again. Declaring it once more does
        nothing.
        """
        definition = options({"name": name, "path": path, "scope": scope, "tenant": tenant})
        op = handle("statekeep_op", lib.statekeep_index_create_start, self.handle, *definition)
        return Index.of(finish(op, progress))

    def indexes(self) -> list[Index]:
        """The declared indexes, by name."""
        return [Index.of(row) for row in document(lib.statekeep_index_list_json, self.handle)]

    def drop_index(self, index: str | Index) -> None:
        """Drops an index at once."""
        text = index.name if isinstance(index, Index) else index
        call(lib.statekeep_index_drop, self.handle, *name(text, "index"))
