"""Transactions and atomic changes as a Python programmer meets them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import statekeep


def together(count: int, work: Callable[[int], None]) -> None:
    """Runs work on many threads; a failure on any of them is one of the test."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_transaction_commits_at_the_end_of_its_block(state: statekeep.State) -> None:
    state.set("user:1", "points", 10)
    with state.transaction() as txn:
        points = txn.get("user:1", "points")
        txn.set("user:1", "points", points - 1)
        txn.scope("user:2")["points"] = 1
        assert txn.get("user:1", "points") == 9 and state.get("user:1", "points") == 10
        assert list(txn.scope("user:2").entries()) == [("points", 1)]
        assert txn.sequence is None
    assert txn.sequence == state.info["head"] and txn.closed
    assert (state.get("user:1", "points"), state.get("user:2", "points")) == (9, 1)
    with pytest.raises(statekeep.Closed, match="transaction"):
        txn.get("user:1", "points")


def test_a_transaction_that_raises_changes_nothing(state: statekeep.State) -> None:
    with pytest.raises(RuntimeError):
        with state.transaction() as txn:
            txn.set("user:1", "points", 1)
            raise RuntimeError("changed my mind")
    with state.transaction() as txn:
        txn.set("user:1", "points", 1)
        txn.rollback()
    assert not state.exists("user:1", "points")
    with state.transaction(durability="relaxed") as txn:
        txn.set("user:1", "points", 1)
        txn.commit()
    assert state.get("user:1", "points") == 1


def test_what_was_read_must_still_hold(state: statekeep.State) -> None:
    state.set("user:1", "points", 10)
    with pytest.raises(statekeep.Conflict) as caught:
        with state.transaction() as txn:
            txn.get("user:1", "points")
            state.set("user:1", "points", 11)
            txn.set("user:2", "points", 1)
    assert caught.value.retryable and caught.value.detail["current_sequence"] == 2
    with pytest.raises(statekeep.Conflict):
        with state.transaction() as txn:
            assert len(txn.scope("user:3")) == 0
            state.set("user:3", "phantom", 1)
            txn.set("user:2", "points", 1)
    assert not state.exists("user:2", "points")


def test_savepoints_nest(state: statekeep.State) -> None:
    with state.transaction() as txn:
        txn.set("global", "a", 1)
        with pytest.raises(RuntimeError):
            with txn.savepoint():
                txn.set("global", "a", 2)
                with txn.savepoint() as inner:
                    txn.set("global", "b", 1)
                    inner.rollback()
                    assert not txn.exists("global", "b")
                txn.delete("global", "a")
                raise RuntimeError
        assert txn.get("global", "a") == 1
        with txn.savepoint():
            txn.set("global", "c", 3)
    assert dict(state.scope("global").items()) == {"a": 1, "c": 3}


def test_a_scope_is_cleared_in_a_transaction(state: statekeep.State) -> None:
    for key in "abc":
        state.set("user:1", key, 1)
    with state.transaction() as txn:
        scope = txn.scope("user:1")
        assert scope.pop("a") == 1 and not txn.delete("user:1", "a")
        scope.clear()
        assert list(scope) == []
    assert list(state.scope("user:1")) == []


def test_transfers_keep_the_sum(state: statekeep.State) -> None:
    for user in range(4):
        state.set(f"user:{user}", "points", 100)

    def work(number: int) -> None:
        for turn in range(20):
            source, target = f"user:{(number + turn) % 4}", f"user:{(number + 1) % 4}"

            def transfer(txn: statekeep.Transaction) -> int:
                held: int = txn.get(source, "points")
                txn.set(source, "points", held - 1)
                txn.set(target, "points", txn.get(target, "points") + 1)
                return held

            assert isinstance(state.transact(transfer), int)

    together(8, work)
    assert sum(state.get(f"user:{user}", "points") for user in range(4)) == 400


def test_transact_gives_up_and_lets_other_exceptions_through(state: statekeep.State) -> None:
    attempts = []

    def never(txn: statekeep.Transaction) -> None:
        attempts.append(txn.get("global", "k"))
        state.set("global", "k", len(attempts))
        txn.set("global", "other", 1)

    with pytest.raises(statekeep.Conflict):
        state.transact(never, attempts_max=3)
    assert attempts == [None, 1, 2]

    def wrong(txn: statekeep.Transaction) -> None:
        txn.set("global", "other", 1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        state.transact(wrong)
    assert not state.exists("global", "other")


def test_ten_threads_count_to_a_thousand(state: statekeep.State) -> None:
    def work(number: int) -> None:
        for _ in range(100):
            state.increment("global", "n", durability="relaxed")

    together(10, work)
    assert state.get("global", "n") == 1000


def test_increments(state: statekeep.State) -> None:
    assert state.increment("global", "n") == 1
    assert state.increment("global", "n", -3) == -2
    half = state.increment("global", "n", 0.5)
    assert half == -1.5 and isinstance(half, float) and state.get("global", "n") == -1.5
    state.set("global", "text", "1")
    with pytest.raises(statekeep.InvalidArgument):
        state.increment("global", "text")
    for beyond in [1 << 63, float("inf")]:
        with pytest.raises(statekeep.InvalidArgument):
            state.increment("global", "n", beyond)


def test_one_of_many_swaps_and_sets(state: statekeep.State) -> None:
    version = state.set("global", "owner", None)
    won: list[str] = []

    def work(number: int) -> None:
        try:
            state.compare_and_swap("global", "owner", number, version=version)
            won.append("swap")
        except statekeep.Conflict as error:
            assert error.detail["current_sequence"] > version
        if state.set_if_absent("global", "first", number) is not None:
            won.append("set")

    together(8, work)
    assert sorted(won) == ["set", "swap"]


def test_compare_and_swap_by_value(state: statekeep.State) -> None:
    swap = state.compare_and_swap
    sequence = swap("global", "k", {"a": 1}, expected=statekeep.ABSENT)
    assert sequence == state.info["head"]
    swap("global", "k", None, expected={"a": 1})
    swap("global", "k", b"raw", expected=None)
    with pytest.raises(statekeep.Conflict):
        swap("global", "k", 1, expected="raw")
    with pytest.raises(statekeep.Conflict):
        swap("global", "k", 1, version=0)
    swap("global", "k", statekeep.ABSENT, expected=b"raw")
    assert not state.exists("global", "k")
    swap("global", "k", 1, version=0)
    for wrong in [{}, {"expected": 1, "version": 1}, {"version": -1}]:
        with pytest.raises(statekeep.InvalidArgument):
            swap("global", "k", 1, **wrong)


def test_patches(state: statekeep.State) -> None:
    assert state.merge_patch("global", "k", {"a": 1, "b": {"c": 2}}) == {"a": 1, "b": {"c": 2}}
    assert state.merge_patch("global", "k", {"a": None}) == {"b": {"c": 2}}
    patch = [{"op": "test", "path": "/b/c", "value": 2}, {"op": "add", "path": "/d", "value": [1]}]
    assert state.json_patch("global", "k", patch) == {"b": {"c": 2}, "d": [1]}
    with pytest.raises(statekeep.Conflict):
        state.json_patch("global", "k", [{"op": "remove", "path": "/d"}, {**patch[0], "value": 3}])
    assert state.get("global", "k") == {"b": {"c": 2}, "d": [1]}
    with pytest.raises(statekeep.NotFound):
        state.json_patch("global", "nothing", [])
    with pytest.raises(statekeep.InvalidArgument):
        state.merge_patch("global", "k", b"{}")
