"""How blocking calls become coroutines: they run on threads of this package, without the GIL.

The event loop is never blocked. A coroutine that is cancelled stops waiting; a call that is running goes
on to its end on its thread, except for long work, which is cancelled too.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from .. import errors
from .._owned import Owned
from ..operation import Progress

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
H_co = TypeVar("H_co", covariant=True)
O_co = TypeVar("O_co", bound=Owned, covariant=True)
Self = TypeVar("Self", bound="Opened[Any]")

#: Calls that run at a time: as many durable writers can share one sync.
THREADS_MAX = 64

#: Rows that a stream reads at a time.
READ_AHEAD = 32

_pool: ThreadPoolExecutor


def _begin() -> None:
    global _pool
    _pool = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="statekeep")


_begin()
os.register_at_fork(after_in_child=_begin)  # Threads do not come along.


async def aside(call: Callable[[], R]) -> R:
    """Runs a blocking call on another thread."""
    return await asyncio.get_running_loop().run_in_executor(_pool, call)


class Lifted(Generic[H_co]):
    """Something whose methods are those of a blocking object."""

    async def _held(self) -> H_co:
        """The blocking object."""
        raise NotImplementedError

    def _later(
        self, method: Callable[..., R], *args: Any, **kwargs: Any
    ) -> Callable[[], Coroutine[Any, Any, R]]:
        async def call() -> R:
            held = await self._held()
            return await aside(functools.partial(method, held, *args, **kwargs))

        return call


def lifted(
    method: Callable[Concatenate[H_co, P], R],
) -> Callable[Concatenate[Lifted[H_co], P], Coroutine[Any, Any, R]]:
    """The coroutine method of a blocking method."""

    @functools.wraps(method)
    async def call(self: Lifted[H_co], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._later(method, *args, **kwargs)()

    return call


def lifted_work(
    method: Callable[Concatenate[H_co, P], R],
) -> Callable[Concatenate[Lifted[H_co], P], Coroutine[Any, Any, R]]:
    """The coroutine method of long work: cancelling it cancels the work and waits until nothing of it
    is left. `progress` is called on the event loop."""

    @functools.wraps(method)
    async def call(self: Lifted[H_co], /, *args: P.args, **kwargs: P.kwargs) -> R:
        loop, cancelled = asyncio.get_running_loop(), threading.Event()
        told = cast("Callable[[Progress], None] | None", kwargs.get("progress"))

        async def tell(progress: Progress) -> None:
            if told is not None:
                told(progress)

        def progress(progress: Progress) -> None:
            if cancelled.is_set():
                raise errors.Cancelled("the task was cancelled", code="CANCELLED", status=-19)
            if told is not None:
                asyncio.run_coroutine_threadsafe(tell(progress), loop).result()

        work = asyncio.ensure_future(
            self._later(method, *args, **{**kwargs, "progress": progress})()
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.wait([work])
            work.cancelled() or work.exception()  # Heard: what it says is of no use any more.
            raise

    return call


class Opened(Lifted[O_co]):
    """Something that is opened when it is first used, awaited or entered, and closed at the end of an
    `async with` block or by `close()`."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, O_co]]) -> None:
        self._make = make
        self._opening: asyncio.Task[O_co] | None = None

    async def _held(self) -> O_co:
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._make())
        return await asyncio.shield(self._opening)

    async def _open(self: Self) -> Self:
        await self._held()
        return self

    def __await__(self: Self) -> Generator[Any, None, Self]:
        return self._open().__await__()

    async def __aenter__(self: Self) -> Self:
        return await self._open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes it, if it was opened. May be repeated."""
        if self._opening is None:
            return
        held = await self._held()
        await asyncio.shield(aside(held.close))


class Stream(AsyncIterator[T], Generic[T]):
    """Rows that are read a few at a time while iterating."""

    def __init__(self, make: Callable[[], Awaitable[Iterator[T]]]) -> None:
        self._make = make
        self._source: Iterator[T] | None = None
        self._rows: deque[T] = deque()
        self._reading: asyncio.Task[deque[T]] | None = None

    async def __anext__(self) -> T:
        if not self._rows:
            # A read that the task did not wait for to its end is waited for by the next one.
            if self._reading is None:
                self._reading = asyncio.ensure_future(self._read())
            self._rows = await asyncio.shield(self._reading)
            self._reading = None
        if not self._rows:
            raise StopAsyncIteration
        return self._rows.popleft()

    async def _read(self) -> deque[T]:
        if self._source is None:
            self._source = await self._make()
        source = self._source
        return await aside(lambda: deque(islice(source, READ_AHEAD)))
