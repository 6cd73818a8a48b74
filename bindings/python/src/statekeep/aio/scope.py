"""A scope for coroutines; see `statekeep.Scope`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import scope as blocking
from .._options import SetOptions
from .._reader import Writer
from ._lift import Lifted, Stream, lifted

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ScopeView(Lifted[blocking.ScopeView]):
    """The keys of one scope, to be read."""

    def __init__(self, owner: Lifted[Any], name: str) -> None:
        self._owner = owner
        self._name = name

    @property
    def name(self) -> str:
        """The scope's text form, such as `user:42`."""
        return self._name

    async def _held(self) -> blocking.ScopeView:
        scope: blocking.ScopeView = (await self._owner._held()).scope(self._name)
        return scope

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        return await self._later(blocking.ScopeView.get, key, default)()

    exists = lifted(blocking.ScopeView.__contains__)

    def list(self, *, prefix: str = "", glob: str = "") -> Stream[str]:
        """Keys in order, all or those that match: `async for key in scope.list(): ...`."""
        return Stream(self._later(blocking.ScopeView.list, prefix=prefix, glob=glob))

    def entries(self, *, prefix: str = "", glob: str = "") -> Stream[tuple[str, Any]]:
        """Keys with their values, in order."""
        return Stream(self._later(blocking.ScopeView.entries, prefix=prefix, glob=glob))


class Scope(ScopeView):
    """The keys of one scope."""

    async def set(self, key: str, value: Any, **how: Unpack[SetOptions]) -> None:
        """Stores a value; `how` as in `statekeep.State.set`."""
        await self._owner._later(_set, self._name, key, value, **how)()

    async def delete(self, key: str) -> bool:
        """Removes a key; answers whether it was there."""
        return await self._owner._later(_delete, self._name, key)()

    async def clear(self) -> None:
        """Removes every key of the scope, as one commit."""
        await self._owner._later(_clear, self._name)()


# What the owner's own class does, a state or a transaction.


def _set(writer: Any, scope: str, key: str, value: Any, **how: Unpack[SetOptions]) -> None:
    writer.set(scope, key, value, **how)


def _delete(writer: Writer, scope: str, key: str) -> bool:
    return writer.delete(scope, key)


def _clear(writer: Writer, scope: str) -> None:
    writer._clear(scope)
