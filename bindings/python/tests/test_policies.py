"""Retention policies as Python functions."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

import statekeep
import statekeep.aio
from statekeep import Forget, Keep, PolicyBackup, PolicyContext, Verdict


@pytest.fixture
def state(tmp_path: Path) -> Iterator[statekeep.State]:
    with statekeep.open(tmp_path / "state") as opened:
        for number in range(3):
            opened.set("global", "k", number)
            opened.backups.create(label=f"number {number}", tags=["release-1"] if number == 1 else [])
        yield opened


def forget_all(backups: Sequence[PolicyBackup], context: PolicyContext) -> Iterable[Verdict]:
    return [Forget("away with it") for _ in backups]


def test_a_function_is_asked_with_its_options_and_decides(state: statekeep.State) -> None:
    seen: list[tuple[Sequence[PolicyBackup], PolicyContext]] = []

    @state.backups.policy("releases")
    def releases(backups: Sequence[PolicyBackup], context: PolicyContext) -> Iterator[Verdict]:
        seen.append((backups, context))
        for backup in backups:
            if any(tag.startswith(context.options["prefix"]) for tag in backup.tags):
                yield Keep("the state of a release")
            else:
                yield Forget("no release", priority=backup.sequence)

    rule = [{"policy": "releases", "prefix": "release-", "deep": {"n": 1 << 53}}]
    plan = state.backups.cleanup(policies=rule, dry_run=True)
    assert (plan.would_delete, plan.failure) == (1, None)
    assert [row["reason"] for row in plan.decisions[:2]] == [
        "releases: no release",
        "releases: the state of a release",
    ]
    backups, context = seen[0]
    assert context.options == {"prefix": "release-", "deep": {"n": 1 << 53}}
    assert context.storage_bytes > 0 and context.storage_bytes_max is None
    listed = state.backups.list()
    assert [backup.id for backup in backups] == [backup.id for backup in listed]
    assert sorted(backup.created for backup in backups) == [backup.created for backup in backups]
    assert backups[1].label == "number 1" and backups[1].tags == ("release-1",)
    assert backups[0].kind == "full" and backups[0].parent is None and not backups[0].pin
    assert backups[1].records == 1 and backups[1].created <= context.now
    with pytest.raises(dataclasses.FrozenInstanceError):
        backups[0].pin = True  # type: ignore[misc]
    assert state.backups.cleanup(policies=rule).deleted == 1
    state.backups.unregister_policy("releases")
    gone = state.backups.cleanup(policies=rule)
    assert gone.failure is not None and "nobody registered it" in gone.failure


def test_what_it_raises_is_raised_and_deletes_nothing(state: statekeep.State) -> None:
    class Away(Exception):
        pass

    def fails(backups: Sequence[PolicyBackup], context: PolicyContext) -> Iterable[Verdict]:
        raise Away("the calendar is away " * context.options["times"])

    state.backups.register_policy("fails", fails)
    for times in (1, 1000):
        with pytest.raises(Away, match="the calendar is away") as raised:
            state.backups.cleanup(policies=[{"policy": "fails", "times": times}])
        assert "fails" in [entry.name for entry in raised.traceback]
    hostile: dict[str, tuple[statekeep.Policy, type[BaseException], str]] = {
        "less": (lambda backups, context: [Forget()], ValueError, "1 verdicts on 3 backups"),
        "more": (lambda backups, context: [Forget()] * 9, ValueError, "9 verdicts"),
        "words": (lambda backups, context: ["forget"] * 3, TypeError, "not str"),  # type: ignore[list-item]
        "nothing": (lambda backups, context: None, TypeError, "not iterable"),  # type: ignore[arg-type, return-value]
        "huge": (lambda b, context: [Forget("x", priority=1 << 40)] * 3, OverflowError, "int"),
        "exits": (lambda backups, context: sys.exit("bye"), SystemExit, "bye"),
    }
    for name, (function, kind, why) in hostile.items():
        state.backups.register_policy(name, function)
        with pytest.raises(kind, match=why):
            state.backups.cleanup(policies=[{"policy": name}])
    assert len(state.backups.list()) == 3 and not state.backups.trash()
    assert state.backups.cleanup(policies=[{"policy": "count", "keep": 2}]).deleted == 1


def test_an_automatic_cleanup_keeps_the_backup_and_says_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {"retention.policies": [{"policy": "fails"}]}
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        asked = threading.Event()

        @state.backups.policy("fails")
        def fails(backups: Sequence[PolicyBackup], context: PolicyContext) -> Iterable[Verdict]:
            asked.set()
            raise LookupError("no idea")

        made = state.backups.create()
        assert asked.is_set() and [backup.id for backup in state.backups.list()] == [made.id]


def test_floors_hold_and_a_name_is_taken_once(state: statekeep.State) -> None:
    state.backups.register_policy("all", forget_all)
    with pytest.raises(statekeep.AlreadyExists):
        state.backups.register_policy("all", forget_all)
    with pytest.raises(statekeep.AlreadyExists):
        state.backups.register_policy("count", forget_all)
    with pytest.raises(statekeep.InvalidArgument):
        state.backups.register_policy("No Name", forget_all)
    with pytest.raises(TypeError):
        state.backups.register_policy("number", 7)  # type: ignore[arg-type]
    with pytest.raises(statekeep.NotFound):
        state.backups.unregister_policy("nobody")
    newest = state.backups.list()[-1].id
    assert state.backups.cleanup(policies=[{"policy": "all"}]).deleted == 2
    assert [backup.id for backup in state.backups.list()] == [newest]


def test_a_policy_reads_the_state_and_cannot_write_it(state: statekeep.State) -> None:
    found: list[object] = []

    @state.backups.policy("reads")
    def reads(backups: Sequence[PolicyBackup], context: PolicyContext) -> Iterable[Verdict]:
        found.append(state.get("global", "k"))
        for change in (
            lambda: state.set("global", "k", 9),
            lambda: state.backups.create(),
            lambda: state.backups.unregister_policy("reads"),
            lambda: state.close(),
        ):
            with pytest.raises(statekeep.Reentrant):
                change()
        return [None for _ in backups]

    report = state.backups.cleanup(policies=[{"policy": "reads"}])
    assert found == [2] and report.retained == 3 and not state.closed


def test_one_that_hangs_is_not_asked_again_until_it_is_back(tmp_path: Path) -> None:
    settings = {"retention.policy_timeout": "100ms"}
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        state.backups.create()
        go_on, calls = threading.Event(), 0

        @state.backups.policy("stuck")
        def stuck(backups: Sequence[PolicyBackup], context: PolicyContext) -> Iterable[Verdict]:
            nonlocal calls
            calls += 1
            go_on.wait()
            return [Keep("late") for _ in backups]

        rule = [{"policy": "stuck"}]
        late = state.backups.cleanup(policies=rule)
        assert late.failure is not None and "did not answer within 0.1 s" in late.failure
        again = state.backups.cleanup(policies=rule)
        assert again.failure is not None and "has not answered" in again.failure and calls == 1
        go_on.set()
        while state.backups.cleanup(policies=rule).failure is not None:
            pass  # It is not back yet, or the machine is too busy for the short limit.


def test_many_threads_ask_without_a_deadlock(state: statekeep.State) -> None:
    state.backups.register_policy("all", lambda backups, context: [Keep("here") for _ in backups])
    failures: list[str | None] = []

    def ask() -> None:
        for _ in range(10):
            failures.append(state.backups.cleanup(policies=[{"policy": "all"}], dry_run=True).failure)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [None] * 80


def test_coroutines_have_the_same_names(tmp_path: Path) -> None:
    async def story() -> None:
        async with statekeep.aio.open(tmp_path / "state") as state:
            for number in range(2):
                await state.set("global", "k", number)
                await state.backups.create()
            await state.backups.register_policy("all", forget_all)

            @(await state.backups.policy("fails"))
            def fails(backups: Sequence[PolicyBackup], context: PolicyContext) -> Iterable[Verdict]:
                raise LookupError("no idea")

            with pytest.raises(LookupError):
                await state.backups.cleanup(policies=[{"policy": "fails"}])
            assert (await state.backups.cleanup(policies=[{"policy": "all"}])).deleted == 1
            await state.backups.unregister_policy("all")

    asyncio.run(story())


PROGRAM = """
import sys, threading, statekeep
state = statekeep.open(sys.argv[1], settings={"retention.policy_timeout": "50ms"})
state.backups.create()
inside, leaving = threading.Event(), threading.Event()
@state.backups.policy("slow")
def slow(backups, context):
    inside.set()
    # Still running when the interpreter begins to end, which is when `leaving` is set.
    leaving.wait()
    print("answered", flush=True)
    return [None for _ in backups]
report = state.backups.cleanup(policies=[{"policy": "slow"}])
inside.wait()
assert "did not answer" in report.failure, report
threading._register_atexit(leaving.set)
print("leaving", flush=True)
"""


def test_the_interpreter_ends_after_a_policy_that_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "state")],
        capture_output=True, text=True, timeout=120, check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["leaving", "answered"]
