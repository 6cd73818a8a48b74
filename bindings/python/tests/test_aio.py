"""The state engine as an asyncio programmer meets it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import statekeep
import statekeep.aio


def run(tmp_path: Path, story: Callable[[statekeep.aio.State], Awaitable[None]], **how: Any) -> None:
    async def main() -> None:
        async with statekeep.aio.open(tmp_path / "state", **how) as state:
            await asyncio.wait_for(story(state), 120)

    asyncio.run(main())


async def all_of(rows: AsyncIterator[Any]) -> list[Any]:
    return [row async for row in rows]


def test_the_names_are_those_of_the_package() -> None:
    kinds = ["State", "Snapshot", "Transaction", "Savepoint", "Watch", "Batch", "Backups", "Plugins"]
    for kind in kinds:
        names = {name for name in dir(getattr(statekeep, kind)) if not name.startswith("_")}
        missing = names - set(dir(getattr(statekeep.aio, kind)))
        # `handle` and `closed` are of C handles, and asyncio has a `wait` of its own.
        assert missing <= {"handle", "closed", "wait", "sequence"}, kind
    assert statekeep.aio.State.set.__doc__ == statekeep.State.set.__doc__


def test_keys_scopes_and_batches(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        assert await state.set("user:42", "name", "Ada", ttl=60) == 1
        assert await state.get("user:42", "name") == "Ada"
        assert await state.get("user:42", "nothing", 7) == 7
        assert "statekeep_cache_hits_total{" in await state.metrics()
        record = await state.record("user:42", "name")
        assert record is not None and record.expires is not None
        scope = state.scope("user:42")
        await scope.set("age", 36, cls="critical")
        assert await scope.get("age") == 36 and await scope.exists("age")
        assert await all_of(scope.list()) == ["age", "name"]
        async with state.batch() as batch:
            for number in range(100):
                batch.set("agent:1", f"{number:03}", number)
            batch.delete("user:42", "age")
        assert [value async for _, value in state.scope("agent:1").entries()] == list(range(100))
        with pytest.raises(RuntimeError):
            async with state.batch() as batch:
                batch.delete("agent:1", "000")
                raise RuntimeError
        assert await scope.delete("name") and not await scope.delete("name")
        await state.scope("agent:1").clear()
        assert await state.scopes() == [] and (await state.info())["head"] == 5
        async with state.tenant("red").with_origin(principal="ada") as red:
            await red.set("global", "k", 1)
        assert not await state.exists("global", "k")
        with pytest.raises(statekeep.InvalidArgument):
            await state.set("nobody", "k", 1)

    run(tmp_path, story)


def test_the_past_and_queries(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        for number in range(50):
            await state.set("agent:1", "plan", {"step": number}, durability="relaxed")
        async with state.at(10) as then, state.snapshot() as now:
            assert await then.get("agent:1", "plan") == {"step": 9} and await then.sequence() == 10
            assert await all_of(then.scope("agent:1").list()) == ["plan"]
            [difference] = await all_of(state.diff(then, now))
            assert (difference.before, difference.after) == ({"step": 9}, {"step": 49})
        with pytest.raises(statekeep.Closed):
            await then.get("agent:1", "plan")
        assert [version.value["step"] async for version in state.history("agent:1", "plan")] == list(
            reversed(range(50))
        )
        index = await state.create_index("by-step", "$.step", scope="agent:*")
        assert index.state == "ready"
        where = [{"path": "$.step", "eq": 49}]
        assert [row.key async for row in state.query(scope="agent:*", where=where)] == ["plan"]
        assert (await state.explain(scope="agent:*", where=where)).index == "by-step"
        assert await state.sweep() == 0 and (await state.trim(dry_run=True)).dry_run

    run(tmp_path, story)


def test_ten_tasks_count_to_a_thousand(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        async def count() -> None:
            for _ in range(100):
                await state.increment("global", "n", durability="relaxed")

        await asyncio.gather(*(count() for _ in range(10)))
        assert await state.get("global", "n") == 1000

    run(tmp_path, story)


def test_transfers_keep_the_sum(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        for user in range(3):
            await state.set(f"user:{user}", "points", 100)

        async def transfer(txn: statekeep.aio.Transaction, source: str, target: str) -> None:
            await txn.set(source, "points", await txn.get(source, "points") - 1)
            await txn.set(target, "points", await txn.get(target, "points") + 1)

        async def work(number: int) -> None:
            source, target = f"user:{number % 3}", f"user:{(number + 1) % 3}"
            for _ in range(10):
                await state.transact(lambda txn: transfer(txn, source, target))

        await asyncio.gather(*(work(number) for number in range(9)))
        assert sum([await state.get(f"user:{user}", "points") for user in range(3)]) == 300

    run(tmp_path, story)


def test_a_transaction_that_is_cancelled_changes_nothing(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        begun = asyncio.Event()

        async def work() -> None:
            async with state.transaction() as txn:
                await txn.set("global", "k", 1)
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await state.exists("global", "k")
        async with state.transaction() as txn:
            await txn.set("global", "a", 1)
            with pytest.raises(RuntimeError):
                async with txn.savepoint():
                    await txn.scope("global").set("a", 2)
                    raise RuntimeError
            assert await txn.get("global", "a") == 1
        with pytest.raises(statekeep.Conflict):
            async with state.transaction() as txn:
                await txn.get("global", "a")
                await state.set("global", "a", 3)
                await txn.set("global", "b", 1)

    run(tmp_path, story)


def test_a_watch_loses_nothing_when_it_is_cancelled(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        async with state.watch(cursor="reader") as watch:
            assert await watch.next(timeout=0) is None
            seen: list[int] = []
            for number in range(30):
                waiting = asyncio.create_task(watch.next())
                for _ in range(number % 5):
                    await asyncio.sleep(0)
                if number % 3 == 0:
                    await asyncio.wait([waiting], timeout=0.005)
                write = asyncio.create_task(state.set("global", "k", number))
                if number % 2:
                    await write
                if waiting.cancel():
                    await asyncio.wait([waiting])
                await write
                if not waiting.cancelled():
                    change = waiting.result()
                    assert change is not None
                    seen.append(change.value)
                # What was handed out is acknowledged, and nothing that was not.
                await watch.acknowledge()
        async with state.watch(cursor="reader") as again:
            while len(seen) < 30:
                change = await again.next()
                assert change is not None
                seen.append(change.value)
        assert seen == list(range(30))

    run(tmp_path, story)


def test_a_loop_over_changes_ends_when_its_watch_is_closed(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        watch, seen, met = await state.watch(scope="user:*"), [], asyncio.Event()

        async def follow() -> None:
            async for change in watch:
                seen.append(change.key)
                met.set()

        task = asyncio.create_task(follow())
        await state.set("agent:1", "a", 1)
        await state.set("user:1", "b", 1)
        await met.wait()
        await watch.close()
        await task
        assert seen == ["b"]

    run(tmp_path, story)


def test_a_loop_over_changes_can_be_cancelled(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        met = asyncio.Event()

        async def follow() -> None:
            async for _ in state.watch(after=0):
                met.set()

        task = asyncio.create_task(follow())
        await state.set("user:1", "b", 1)
        await met.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Who was waiting on a thread leaves none behind.
        for thread in threading.enumerate():
            if thread.name == "statekeep-watch":
                thread.join(60)
                assert not thread.is_alive()

    run(tmp_path, story)


def test_many_watches_and_calls_at_once(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        watches = [await state.watch() for _ in range(100)]
        tasks = [asyncio.create_task(watch.next()) for watch in watches]
        await asyncio.sleep(0)
        await state.set("global", "k", 1)
        changes = await asyncio.gather(*tasks)
        assert [change and change.value for change in changes] == [1] * 100

    run(tmp_path, story)


def test_backups_and_swaps_report_and_are_cancelled(tmp_path: Path) -> None:
    async def story(state: statekeep.aio.State) -> None:
        async with state.batch() as batch:
            for number in range(1000):
                batch.set("agent:1", f"{number:04}", {"n": number})
        phases: list[str] = []
        backup = await state.backups.create(label="L", progress=lambda now: phases.append(now.phase))
        assert phases[-1] == "done" and (await state.backups.verify(backup)).is_valid

        def refuse(progress: statekeep.Progress) -> None:
            raise RuntimeError("not that one")

        with pytest.raises(RuntimeError, match="not that one"):
            await state.backups.create(progress=refuse)
        assert backup.id in [row.id for row in await state.backups.list()]
        report = await state.swap_backend("sqlite")
        assert (await state.info())["backend"] == "sqlite"
        assert await state.undo(report.replaced) > 0
        task = asyncio.create_task(state.swap_backend("sled"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await state.scope("agent:1").clear()
        await state.backups.restore(backup)
        assert len(await all_of(state.scope("agent:1").list())) == 1000
        assert (await state.plugins.list())[0].id

    run(tmp_path, story, backend="fjall")


def test_an_error_of_opening_is_raised_where_it_is_opened(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(statekeep.Error, match="nosuch"):
            await statekeep.aio.open(tmp_path / "state", backend="nosuch")
        state = await statekeep.aio.open(tmp_path / "state", backend="memory")
        await state.close()
        await state.close()
        with pytest.raises(statekeep.Closed):
            await state.get("global", "k")

    asyncio.run(main())
