"""A state for coroutines; see `statekeep.State`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import batch, errors, state as blocking
from .._options import Durability, SetOptions
from ..past import When
from ..snapshot import Snapshot as BlockingSnapshot
from ..transaction import ATTEMPTS_MAX, pause_s
from ._lift import Opened, aside, lifted, lifted_work
from .backups import Backups, Plugins, Retention
from .monitor import Events
from .past import Differences, History, Rows, Snapshot
from .scope import Scope
from .transaction import Transaction
from .watch import Watch

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")


class State(Opened[blocking.State]):
    """Durable state, shared with everything in the process that opened the same path."""

    get = lifted(blocking.State.get)
    set = lifted(blocking.State.set)
    delete = lifted(blocking.State.delete)
    exists = lifted(blocking.State.exists)
    record = lifted(blocking.State.record)
    scopes = lifted(blocking.State.scopes)
    copy_scope = lifted(blocking.State.copy_scope)
    move_scope = lifted(blocking.State.move_scope)
    flush = lifted(blocking.State.flush)
    metrics = lifted(blocking.State.metrics)
    alerts = lifted(blocking.State.alerts)
    doctor = lifted(blocking.State.doctor)

    compare_and_swap = lifted(blocking.State.compare_and_swap)
    set_if_absent = lifted(blocking.State.set_if_absent)
    merge_patch = lifted(blocking.State.merge_patch)
    json_patch = lifted(blocking.State.json_patch)

    sequence_at = lifted(blocking.State.sequence_at)
    cursors = lifted(blocking.State.cursors)
    delete_cursor = lifted(blocking.State.delete_cursor)

    explain = lifted(blocking.State.explain)
    create_index = lifted_work(blocking.State.create_index)
    indexes = lifted(blocking.State.indexes)
    drop_index = lifted(blocking.State.drop_index)

    sweep = lifted(blocking.State.sweep)
    trim = lifted(blocking.State.trim)
    upkeep = lifted(blocking.State.upkeep)
    pause_upkeep = lifted(blocking.State.pause_upkeep)
    resume_upkeep = lifted(blocking.State.resume_upkeep)

    export = lifted_work(blocking.State.export)
    import_ = lifted_work(blocking.State.import_)

    swap_backend = lifted_work(blocking.State.swap_backend)
    namespaces = lifted(blocking.State.namespaces)
    undo = lifted(blocking.State.undo)
    release_namespace = lifted(blocking.State.release_namespace)

    async def info(self) -> dict[str, Any]:
        """Path, backend, tenant, head sequence and so on."""
        held = await self._held()
        return await aside(lambda: held.info)

    def scope(self, name: str = "global") -> Scope:
        """A scope: `await state.scope("user:42").get("name")`."""
        return Scope(self, name)

    def tenant(self, tenant: str) -> State:
        """A handle that can only see and build keys of one tenant."""
        return State(self._later(blocking.State.tenant, tenant))

    def with_origin(self, *, principal: str = "", correlation_id: str = "") -> State:
        """A handle whose commits say who made them and what they belong to."""
        who = {"principal": principal, "correlation_id": correlation_id}
        return State(self._later(blocking.State.with_origin, **who))

    def batch(self) -> Batch:
        """Changes that are committed together at the end of an `async with` block, or not at all."""
        return Batch(self)

    @overload
    async def increment(
        self, scope: str, key: str, by: int = 1, **how: Unpack[SetOptions]
    ) -> int: ...

    @overload
    async def increment(
        self, scope: str, key: str, by: float, **how: Unpack[SetOptions]
    ) -> float: ...

    async def increment(
        self, scope: str, key: str, by: float = 1, **how: Unpack[SetOptions]
    ) -> float:
        """Adds to the number that a key holds and returns the sum; see `statekeep.State.increment`."""
        total: float = await self._later(blocking.State.increment, scope, key, by, **how)()
        return total

    def transaction(self, *, durability: Durability | None = None) -> Transaction:
        """Begins a transaction: `async with state.transaction() as txn: ...`."""
        return Transaction(self._later(blocking.State.transaction, durability=durability))

    async def transact(
        self,
        function: Callable[[Transaction], Awaitable[T]],
        *,
        durability: Durability | None = None,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> T:
        """Runs a coroutine function in a transaction, commits, and returns what it returned; after a
        `Conflict` it is run again, as `statekeep.State.transact` does."""
        attempt = 1
        while True:
            try:
                async with self.transaction(durability=durability) as transaction:
                    result = await function(transaction)
                return result
            except errors.Conflict:
                if attempt >= attempts_max:
                    raise
            await asyncio.sleep(pause_s(attempt))
            attempt += 1

    def snapshot(self) -> Snapshot:
        """The state as it is now, for as long as the snapshot is open."""
        return Snapshot(self._later(blocking.State.snapshot))

    def at(self, when: int | datetime) -> Snapshot:
        """The state right after a commit, by its sequence, or at a time."""
        return Snapshot(self._later(blocking.State.at, when))

    def history(self, scope: str, key: str) -> History:
        """What a key was over time and who changed it, newest first."""
        return History(self._later(blocking.State.history, scope, key))

    def diff(
        self,
        before: When | Snapshot,
        after: When | Snapshot,
        *,
        scope: str | None = None,
        prefix: str | None = None,
    ) -> Differences:
        """What differs between two commits: of all scopes, of one, or of its keys with a prefix."""

        async def differences() -> Any:
            ends = [await _blocking(end) for end in (before, after)]
            return await self._later(blocking.State.diff, *ends, scope=scope, prefix=prefix)()

        return Differences(differences)

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
        """Watches what is committed: `async for change in state.watch(): ...`; see
        `statekeep.State.watch`."""
        asked = {"after": after, "cursor": cursor, "scope": scope, "key": key}
        return Watch(
            self._later(blocking.State.watch, **asked, values=values, all_tenants=all_tenants)
        )

    def events(
        self,
        kinds: Sequence[str] = (),
        *,
        subject: str | None = None,
        queue_max: int | None = None,
    ) -> Events:
        """Subscribes to events: `async for event in state.events(): ...`; see `statekeep.State.events`."""
        asked = {"subject": subject, "queue_max": queue_max}
        return Events(self._later(blocking.State.events, kinds, **asked))

    def query(self, query: dict[str, Any] | None = None, /, **more: Any) -> Rows:
        """The records that match, over all pages: `async for row in state.query(...): ...`."""
        return Rows(self._later(blocking.State.query, query, **more))

    @property
    def backups(self) -> Backups:
        """Create, list, verify and restore backups."""
        return Backups(self)

    @property
    def retention(self) -> Retention:
        """Which backups stay: what is in force, trials and simulations."""
        return Retention(self)

    @property
    def plugins(self) -> Plugins:
        """The plugins that this state knows."""
        return Plugins(self)


async def _blocking(when: When | Snapshot) -> int | datetime | BlockingSnapshot:
    return await when._held() if isinstance(when, Snapshot) else when


class Batch:
    """Collects changes; all of them take place at `commit()` or at the end of the block, or none."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._changes: list[Callable[[batch.Batch], batch.Batch]] = []

    def set(self, scope: str, key: str, value: Any, **how: Unpack[SetOptions]) -> Batch:
        """Stores a value; of several changes to a key the last one counts."""
        self._changes.append(lambda made: made.set(scope, key, value, **how))
        return self

    def delete(self, scope: str, key: str) -> Batch:
        """Removes a key; a missing one is no error."""
        self._changes.append(lambda made: made.delete(scope, key))
        return self

    async def commit(self, *, durability: Durability | None = None) -> int:
        """Commits all changes and returns the sequence; the batch is empty then."""
        changes, self._changes = self._changes, []
        held = await self._state._held()

        def commit() -> int:
            made = held.batch()
            for change in changes:
                change(made)
            return made.commit(durability=durability)

        return await aside(commit)

    async def __aenter__(self) -> Batch:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.commit()


def open(  # noqa: A001 - the conventional name
    path: str | os.PathLike[str] | None = None,
    *,
    backend: str | None = None,
    config: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> State:
    """Opens a state as `statekeep.open` does: `async with statekeep.aio.open("state") as state: ...`, or
    `state = await statekeep.aio.open("state")`."""
    made = partial(blocking.open, path, backend=backend, config=config, settings=settings)
    return State(lambda: aside(made))
