"""What operators see: storage, alerts, and events as they happen."""

from __future__ import annotations

import asyncio
import pathlib
import threading

import pytest
import statekeep
import statekeep.aio

#: No alert depends on how full the disk of the machine is.
QUIET = {"alerts.disk_percent": 0, "alerts.limit_within": "0"}


def test_storage_says_what_backups_take(tmp_path: pathlib.Path) -> None:
    with statekeep.open(tmp_path / "state", settings=QUIET) as state:
        assert state.backups.storage()["bytes"] == 0
        state.set("agent:1", "plan", {"step": 1})
        backup = state.backups.create()
        storage = state.backups.storage()
        (row,) = storage["backups"]
        assert (row["id"], row["own_bytes"]) == (backup.id, row["only_bytes"])
        assert storage["scopes"][0]["scope"] == "agent:1"


def test_events_are_told_as_they_happen_and_end_with_the_state(tmp_path: pathlib.Path) -> None:
    with statekeep.open(tmp_path / "state", settings=QUIET) as state:
        with state.events(kinds=["backup_created"]) as created, state.events() as events:
            assert created.next(timeout=0) is None
            backup = state.backups.create()
            event = next(events)
            assert (event.kind, event.subject, event.lost) == ("backup_created", backup.id, 0)
            assert event.detail["records"] == 0 and not event.standing
            state.backups.verify(backup)
            assert next(events).detail["is_valid"]
            assert next(created).subject == backup.id
            assert created.next(timeout=0.01) is None
        with pytest.raises(statekeep.Closed):
            events.next()
        with pytest.raises(statekeep.InvalidArgument):
            state.events(kinds=["unheard"])
        with pytest.raises(statekeep.PermissionDenied):
            state.tenant("red").events()
        waiting = state.events(queue_max=1)
        heard: list[statekeep.Event] = []
        thread = threading.Thread(target=lambda: heard.extend(waiting))
        thread.start()
        state.backups.create()
        while not heard:
            pass
        waiting.close()
        thread.join()
        assert [event.kind for event in heard] == ["backup_created"]


def test_a_queue_that_nobody_reads_says_what_it_lost(tmp_path: pathlib.Path) -> None:
    with statekeep.open(tmp_path / "state", settings=QUIET) as state, state.events(queue_max=1) as events:
        for _ in range(3):
            state.backups.create()
        assert next(events).lost == 2


def test_alerts_hold_and_are_told_first_to_who_comes_late(tmp_path: pathlib.Path) -> None:
    settings = {**QUIET, "alerts.chain_length": 1, "alerts.interval": "0"}
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        assert state.alerts() == []
        for step in range(3):
            state.set("agent:1", "plan", step)
            backup = state.backups.create(incremental=True)
        (alert,) = state.alerts()
        assert (alert.id, alert.severity, alert.subject) == ("chain_too_long", "warning", backup.id)
        assert "--synthetic" in alert.next_step
        with state.events() as events:
            event = next(events)
            assert event.standing and event.kind == "alert_raised"
            assert event.detail["id"] == "chain_too_long"
            state.backups.create(synthetic=True)
            assert state.alerts() == []
            assert [next(events).kind, next(events).kind] == ["backup_created", "alert_cleared"]


def test_the_doctor_says_what_is_wrong_and_what_to_do(tmp_path: pathlib.Path) -> None:
    settings = {**QUIET, "retention.storage_bytes_max": 1, "alerts.interval": "0"}
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        state.set("agent:1", "plan", 1)
        assert {finding.severity for finding in state.doctor()} == {"note", "fine"}
        state.backups.create()
        worst = state.doctor()[0]
        assert (worst.severity, worst.area) == ("error", "alerts")
        assert "storage_limit_near" in worst.what and "retention" in (worst.next_step or "")


def test_the_same_for_coroutines(tmp_path: pathlib.Path) -> None:
    async def run() -> None:
        async with statekeep.aio.open(tmp_path / "state", settings=QUIET) as state:
            assert await state.alerts() == []
            assert (await state.doctor())[-1].severity == "fine"
            async with state.events(["backup_created"]) as events:
                assert await events.next(timeout=0.01) is None
                waiter = asyncio.ensure_future(events.next())
                await asyncio.sleep(0)
                waiter.cancel()
                backup = await state.backups.create()
                async for event in events:
                    assert event.subject == backup.id, "a task that gave up took it"
                    break
            with pytest.raises(statekeep.Closed):
                await events.next()
            assert (await state.backups.storage())["backups"][0]["id"] == backup.id

    asyncio.run(run())
