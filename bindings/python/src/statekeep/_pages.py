"""Iterators that read page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Pages(Iterator[T], Generic[T]):
    """Rows that are read page by page while iterating."""

    def __init__(self) -> None:
        self._rows: Iterator[T] = iter(())
        self._next: Any = None
        self._begun = False

    def _read(self, after: Any) -> tuple[list[T], Any]:
        """The page after a place, and the place after the page; None is the begin and the end."""
        raise NotImplementedError

    def __next__(self) -> T:
        while True:
            for row in self._rows:
                return row
            if self._begun and self._next is None:
                raise StopIteration
            rows, self._next = self._read(self._next)
            self._begun, self._rows = True, iter(rows)
