"""Watches as a Python programmer meets them: loops that wait, end, are interrupted, and go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import statekeep


def test_changes_come_in_order(state: statekeep.State) -> None:
    with state.watch() as watch, state.watch(scope="user:*", values=False) as users:
        assert watch.next(timeout=0) is None
        state.with_origin(principal="ada").set("agent:1", "a", {"n": 1})
        with state.batch() as batch:
            batch.set("agent:1", "b", b"\x00").set("user:1", "c", None)
        state.delete("agent:1", "a")
        first, second, third, fourth = (next(watch) for _ in range(4))
        assert (first.scope, first.key, first.op, first.value) == ("agent:1", "a", "put", {"n": 1})
        assert (first.principal, first.sequence, first.last_of_commit) == ("ada", 1, True)
        assert (second.value, second.last_of_commit) == (b"\x00", False)
        assert (third.value, third.kind, third.last_of_commit) == (None, "json", True)
        assert (fourth.op, fourth.kind) == ("delete", None)
        assert watch.next(timeout=0) is None and not watch.wait(timeout=0)
        assert users.wait(timeout=60) and users.wait(timeout=0)
        seen = next(users)
        assert (seen.scope, seen.key, seen.value, seen.kind) == ("user:1", "c", None, None)
        with pytest.raises(statekeep.InvalidArgument):
            watch.acknowledge()
    with state.watch(after=2) as late:
        assert next(late).op == "delete"


def test_a_loop_waits_and_ends_when_the_watch_is_closed(state: statekeep.State) -> None:
    seen: list[object] = []
    met, watch = threading.Event(), state.watch()

    def follow() -> None:
        for change in watch:
            seen.append(change.value)
            met.set()

    thread = threading.Thread(target=follow)
    thread.start()
    state.set("global", "k", 1)
    assert met.wait(60)
    watch.close()
    thread.join(60)
    assert not thread.is_alive() and seen == [1]
    assert list(watch) == []
    with pytest.raises(statekeep.Closed):
        watch.next()


def test_a_loop_ends_when_the_state_is_closed(tmp_path: Path) -> None:
    state = statekeep.open(tmp_path / "state")
    watch, waiting = state.watch(), threading.Event()

    def follow() -> None:
        waiting.set()
        assert list(watch) == []

    thread = threading.Thread(target=follow)
    thread.start()
    assert waiting.wait(60)
    state.close()
    thread.join(60)
    assert not thread.is_alive()


def test_a_cursor_goes_on_after_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with statekeep.open(path) as state:
        with state.watch(cursor="indexer") as watch:
            for number in range(3):
                state.set("global", "k", number)
            assert next(watch).value == 0
            watch.acknowledge()
            assert next(watch).value == 1
            with pytest.raises(statekeep.Busy):
                state.watch(cursor="indexer")
    with statekeep.open(path) as state:
        with state.watch(cursor="indexer") as watch:
            assert [next(watch).value, next(watch).value] == [1, 2]
        [cursor] = state.cursors()
        assert (cursor.name, cursor.sequence, cursor.watched) == ("indexer", 1, False)
        state.backups.create()
        assert [(each.name[:17], each.system) for each in state.cursors()] == [
            ("indexer", False),
            ("statekeep.backup.", True),
        ]
        assert state.delete_cursor(cursor) and not state.delete_cursor("indexer")
        with pytest.raises(statekeep.InvalidArgument):
            state.watch(cursor="indexer", after=1)


def test_a_past_that_is_gone_is_compacted(tmp_path: Path) -> None:
    settings = {"keep.commits": 1, "upkeep_interval_ms": 0}
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        for number in range(5):
            state.set("global", "k", number)
        state.trim()
        with pytest.raises(statekeep.Compacted) as caught:
            state.watch(after=1)
        assert caught.value.detail["oldest_sequence"] == 4


def test_all_tenants_are_watched_from_above(state: statekeep.State) -> None:
    red = state.tenant("red")
    with state.watch(all_tenants=True) as watch, state.watch() as own:
        red.set("global", "k", 1)
        assert next(watch).tenant == "red" and own.next(timeout=0) is None
    with pytest.raises(statekeep.PermissionDenied):
        red.watch(all_tenants=True)


WAITS = """
import signal, sys, threading, statekeep
# A process that was started in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
state = statekeep.open(sys.argv[1])
{}
"""


def test_ctrl_c_ends_a_loop_that_waits(tmp_path: Path) -> None:
    program = WAITS.format(
        "try:\n    watch = state.watch()\n    print('waits', flush=True)\n    for change in watch: pass\n"
        "except KeyboardInterrupt:\n    print('interrupted')"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "state")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "waits\n"
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=60)[0] == "interrupted\n" and child.returncode == 0


@pytest.mark.parametrize(
    "waits",
    [
        "threading.Thread(target=lambda: list(state.watch())).start()",
        "threading.Thread(target=lambda: list(state.watch()), daemon=True).start()",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "ThreadPoolExecutor().submit(lambda: list(state.watch()))",
        "import asyncio, statekeep.aio\nloop = asyncio.new_event_loop()\n"
        "watch = statekeep.aio.open(sys.argv[1]).watch()\n"
        "task = loop.create_task(watch.next())\n"
        "loop.run_until_complete(asyncio.wait([task], timeout=0.01))\n"
        "task.set_name('left waiting')",
    ],
    ids=["thread", "daemon", "executor", "asyncio"],
)
def test_a_thread_that_waits_does_not_keep_the_interpreter(tmp_path: Path, waits: str) -> None:
    program = WAITS.format(waits + "\nprint('ends')")
    arguments = [sys.executable, "-c", program, str(tmp_path / "state")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "ends\n"), done.stderr
