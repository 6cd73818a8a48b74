"""A scope as a mapping of keys to values, mutable where what it is of can be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from . import errors
from ._reader import Reader, Writer
from ._values import decode


class ScopeView(Mapping[str, Any]):
    """The keys of one scope, to be read."""

    def __init__(self, owner: Reader, name: str) -> None:
        self._owner = owner
        self._name = name

    @property
    def name(self) -> str:
        """The scope's text form, such as `user:42`."""
        return self._name

    def __getitem__(self, key: str) -> Any:
        found, value = self._owner._get(self._name, key)
        if not found:
            raise self._missing(key)
        return value

    def _missing(self, key: str) -> errors.NotFound:
        return errors.NotFound(f"{self._name} has no key {key!r}", code="NOT_FOUND", status=1)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._owner.exists(self._name, key)

    def __iter__(self) -> Iterator[str]:
        return self.list()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<statekeep.{type(self).__name__} {self._name!r}>"

    def list(self, *, prefix: str = "", glob: str = "") -> Iterator[str]:
        """Keys in order, all or those that match; read page by page while iterating."""
        return (key for key, _, _ in self._owner._scan(self._name, prefix, glob, values=False))

    def entries(self, *, prefix: str = "", glob: str = "") -> Iterator[tuple[str, Any]]:
        """Keys with their values, in order; read page by page while iterating."""
        found = self._owner._scan(self._name, prefix, glob, values=True)
        return ((key, decode(kind, data)) for key, kind, data in found)

    def items(self) -> Any:
        """Keys with their values, as `dict.items()`."""
        return _Items(self)


class Scope(ScopeView, MutableMapping[str, Any]):
    """The keys of one scope. Each assignment to a state's is one durable commit; use a batch or a
    transaction for many."""

    def __init__(self, owner: Writer, name: str) -> None:
        super().__init__(owner, name)
        self._writer = owner

    def __setitem__(self, key: str, value: Any) -> None:
        self._writer.set(self._name, key, value)

    def __delitem__(self, key: str) -> None:
        if not self._writer.delete(self._name, key):
            raise self._missing(key)

    def clear(self) -> None:
        """Removes every key of the scope, as one commit."""
        self._writer._clear(self._name)


class _Items:
    """What `Scope.items()` gives: one pass over the scope per iteration, values included."""

    def __init__(self, scope: ScopeView) -> None:
        self._scope = scope

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return self._scope.entries()

    def __len__(self) -> int:
        return len(self._scope)

    def __contains__(self, item: object) -> bool:
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)):
            return False
        missing = object()
        found = self._scope.get(item[0], missing)
        return found is not missing and bool(found == item[1])
