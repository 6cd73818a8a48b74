"""Backups, retention and plugins for coroutines; see `statekeep.Backups` and its neighbours."""

from __future__ import annotations

from typing import Any

from .. import backups, plugins, retention
from ._lift import Lifted, lifted, lifted_work


class Backups(Lifted[backups.Backups]):
    """The backups of a state. A task that is cancelled cancels its backup, verification or restore."""

    def __init__(self, state: Lifted[Any]) -> None:
        self._state = state

    async def _held(self) -> backups.Backups:
        return backups.Backups(await self._state._held())

    create = lifted_work(backups.Backups.create)
    list = lifted(backups.Backups.list)
    problems = lifted(backups.Backups.problems)
    show = lifted(backups.Backups.show)
    pin = lifted(backups.Backups.pin)
    unpin = lifted(backups.Backups.unpin)
    verify = lifted_work(backups.Backups.verify)
    check = lifted_work(backups.Backups.check)
    prune_strays = lifted_work(backups.Backups.prune_strays)
    repair = lifted_work(backups.Backups.repair)
    cleanup = lifted_work(backups.Backups.cleanup)
    register_policy = lifted(backups.Backups.register_policy)
    unregister_policy = lifted(backups.Backups.unregister_policy)
    policy = lifted(backups.Backups.policy)
    delete = lifted(backups.Backups.delete)
    trash = lifted(backups.Backups.trash)
    storage = lifted(backups.Backups.storage)
    undelete = lifted(backups.Backups.undelete)
    keys = lifted(backups.Backups.keys)
    add_key = lifted(backups.Backups.add_key)
    change_key = lifted(backups.Backups.change_key)
    remove_key = lifted(backups.Backups.remove_key)
    schedule = lifted(backups.Backups.schedule)
    ranges = lifted(backups.Backups.ranges)
    restore = lifted_work(backups.Backups.restore)
    diff = lifted_work(backups.Backups.diff)


class Retention(Lifted[retention.Retention]):
    """Which backups stay. A task that is cancelled cancels its simulation."""

    def __init__(self, state: Lifted[Any]) -> None:
        self._state = state

    async def _held(self) -> retention.Retention:
        return retention.Retention(await self._state._held())

    show = lifted(retention.Retention.show)
    set = lifted(retention.Retention.set)
    test = lifted(retention.Retention.test)
    simulate = lifted_work(retention.Retention.simulate)


class Plugins(Lifted[plugins.Plugins]):
    """Load and list plugins."""

    def __init__(self, state: Lifted[Any]) -> None:
        self._state = state

    async def _held(self) -> plugins.Plugins:
        return plugins.Plugins(await self._state._held())

    list = lifted(plugins.Plugins.list)
    load = lifted(plugins.Plugins.load)
