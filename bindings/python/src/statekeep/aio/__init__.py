"""Statekeep for asyncio: the names of `statekeep`, as coroutines.

    async with statekeep.aio.open("state") as state:
        await state.set("user:42", "points", 100)
        async for change in state.watch(scope="user:*"):
            ...

What `open`, `transaction`, `snapshot`, `at`, `tenant` and `watch` give is opened when it is awaited,
entered or first used, and closed at the end of the `async with` block or by `await x.close()`. What
iterates in `statekeep` is iterated by `async for`. `info`, and `sequence` and `time` of a snapshot, are
methods. One `State` serves any number of tasks, of one event loop.
"""

from __future__ import annotations

from .backups import Backups, Plugins, Retention
from .monitor import Events
from .past import Differences, History, Rows, Snapshot
from .scope import Scope, ScopeView
from .state import Batch, State, open
from .transaction import Savepoint, Transaction
from .watch import Watch

__all__ = [
    "Backups",
    "Batch",
    "Differences",
    "Events",
    "History",
    "Plugins",
    "Retention",
    "Rows",
    "Savepoint",
    "Scope",
    "ScopeView",
    "Snapshot",
    "State",
    "Transaction",
    "Watch",
    "open",
]
