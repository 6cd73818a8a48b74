"""Watches for coroutines; see `statekeep.Watch`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

from .. import errors, watch as blocking
from .._time import Duration, duration_ms
from ..watch import Change
from ._lift import Opened, aside, lifted


class Watch(Opened[blocking.Watch], AsyncIterator[Change]):
    """`async for change in state.watch(): ...` waits for each change and ends when the watch or the
    state is closed. It begins when it is awaited or entered, at the latest with the loop.

    A task that is cancelled while it waits loses no change: it is taken only when it is handed out.
    """

    async def __anext__(self) -> Change:
        try:
            change = await self.next()
        except errors.Closed:
            raise StopAsyncIteration from None
        if change is None:
            raise StopAsyncIteration
        return change

    async def next(self, timeout: Duration | None = None) -> Change | None:
        """The next change; None when none came within `timeout` seconds, or when the interpreter ends.

        Raises `Closed` once the watch or the state is closed.
        """
        held = await self._held()
        limit_s = None if timeout is None else duration_ms(timeout, "timeout") / 1000
        until = None if limit_s is None else asyncio.get_running_loop().time() + limit_s
        while True:
            if not await aside(lambda: held.wait(0)):
                left_s = None if until is None else until - asyncio.get_running_loop().time()
                try:
                    if not await asyncio.wait_for(_arrival(held), left_s):
                        return None
                except asyncio.TimeoutError:
                    return None
            # It was read by whoever waited, so that nothing is read on the event loop.
            change = held.next(0)
            if change is not None:
                return change

    acknowledge = lifted(blocking.Watch.acknowledge)


async def _arrival(watch: blocking.Watch) -> bool:
    """Waits, on a thread of its own as it may take for ever, until there is a change to take."""
    loop, stop = asyncio.get_running_loop(), threading.Event()
    arrived: asyncio.Future[bool] = loop.create_future()

    def settle(there: bool, error: BaseException | None) -> None:
        if arrived.done():
            return
        if error is None:
            arrived.set_result(there)
        else:
            arrived.set_exception(error)

    def wait() -> None:
        there, failure = False, None
        try:
            there = watch.wait(stop=stop)
        except errors.Error as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # The loop is closed; nobody waits any more.
            loop.call_soon_threadsafe(settle, there, failure)

    threading.Thread(target=wait, name="statekeep-watch").start()
    try:
        return await arrived
    finally:
        stop.set()
