"""Events for coroutines; see `statekeep.Events`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import errors, monitor as blocking
from .._time import Duration, duration_ms
from ..monitor import Event
from ._lift import Opened


class Events(Opened[blocking.Events], AsyncIterator[Event]):
    """`async for event in state.events(): ...` waits for each event and ends when the subscription or the
    state is closed. It begins when it is awaited or entered, at the latest with the loop.

    A task that is cancelled while it waits loses no event: the next call gets it.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, blocking.Events]]) -> None:
        super().__init__(make)
        # Of its own, as a wait may take for ever.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="statekeep-events")
        self._reading: asyncio.Future[Event | None] | None = None

    async def __anext__(self) -> Event:
        try:
            event = await self.next()
        except errors.Closed:
            raise StopAsyncIteration from None
        if event is None:
            raise StopAsyncIteration
        return event

    async def next(self, timeout: Duration | None = None) -> Event | None:
        """The next event; None when none came within `timeout` seconds, or when the interpreter ends.

        Raises `Closed` once the subscription or the state is closed.
        """
        held = await self._held()
        limit_s = None if timeout is None else duration_ms(timeout, "timeout") / 1000
        held.handle  # Raises once it is closed.
        if self._reading is None:
            self._reading = asyncio.get_running_loop().run_in_executor(self._thread, held.next)
            self._reading.add_done_callback(_heard)
        done, _ = await asyncio.wait([self._reading], timeout=limit_s)
        if not done:
            return None
        read, self._reading = self._reading, None
        return read.result()

    async def close(self) -> None:
        """Closes it, if it was opened. May be repeated."""
        await super().close()
        self._thread.shutdown(wait=False)


def _heard(read: asyncio.Future[Event | None]) -> None:
    read.cancelled() or read.exception()  # What nobody waits for any more is of no use.
