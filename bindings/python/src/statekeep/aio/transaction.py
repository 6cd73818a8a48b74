"""Transactions for coroutines; see `statekeep.Transaction`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

from .. import transaction as blocking
from ._lift import Lifted, Opened, aside, lifted
from .scope import Scope


class Transaction(Opened[blocking.Transaction]):
    """`async with state.transaction() as txn: ...` commits at the end of the block, and changes nothing
    when the block raises or is cancelled. One task at a time."""

    get = lifted(blocking.Transaction.get)
    exists = lifted(blocking.Transaction.exists)
    record = lifted(blocking.Transaction.record)
    set = lifted(blocking.Transaction.set)
    delete = lifted(blocking.Transaction.delete)
    commit = lifted(blocking.Transaction.commit)
    rollback = lifted(blocking.Transaction.rollback)

    def scope(self, name: str = "global") -> Scope:
        """A scope of the transaction."""
        return Scope(self, name)

    def savepoint(self) -> Savepoint:
        """A point to come back to: `async with txn.savepoint(): ...` takes back what a block changed
        that raises, and the transaction goes on."""
        return Savepoint(self._later(blocking.Transaction.savepoint))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held = await self._held()
        await aside(partial(held.__exit__, kind, error, trace))


class Savepoint(Lifted[blocking.Savepoint]):
    """A point in a transaction; entering it makes it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: blocking.Savepoint | None = None

    async def _held(self) -> blocking.Savepoint:
        if self._made is None:
            self._made = await self._make()
        return self._made

    rollback = lifted(blocking.Savepoint.rollback)

    async def __aenter__(self) -> Savepoint:
        await self._held()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held = await self._held()
        await aside(partial(held.__exit__, kind, error, trace))
