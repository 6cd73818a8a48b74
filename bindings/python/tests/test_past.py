"""The past as a Python programmer meets it: snapshots, histories, differences, expiry, upkeep, swaps."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import statekeep


def test_a_snapshot_stays_as_it_was(state: statekeep.State) -> None:
    first = state.set("agent:1", "plan", {"step": 1})
    state.set("agent:1", "memory", b"\x00\xff")
    with state.snapshot() as then, state.at(first) as earlier:
        state.set("agent:1", "plan", {"step": 2})
        state.delete("agent:1", "memory")
        state.set("agent:2", "plan", 1)
        assert dict(then.scope("agent:1").items()) == {"plan": {"step": 1}, "memory": b"\x00\xff"}
        assert list(then.scope("agent:1").list(prefix="p")) == ["plan"]
        assert then.scopes() == ["agent:1"] and not then.exists("agent:2", "plan")
        assert then.get("agent:2", "plan", "none") == "none" and "plan" in then.scope("agent:1")
        with pytest.raises(KeyError):
            then.scope("agent:2")["plan"]
        assert (earlier.sequence, list(earlier.scope("agent:1"))) == (first, ["plan"])
        assert [row.key for row in then.query(scope="agent:*")] == ["plan"]
        record = then.record("agent:1", "plan")
        assert record is not None and (record.sequence, record.kind) == (first, "json")
        assert then.record("agent:1", "nothing") is None
        assert not hasattr(then.scope("agent:1"), "__setitem__")
    with pytest.raises(statekeep.Closed, match="snapshot"):
        then.get("agent:1", "plan")
    with pytest.raises(statekeep.InvalidArgument):
        state.at(10_000)
    with pytest.raises(statekeep.InvalidArgument):
        state.at(-1)


def test_time_travel(state: statekeep.State) -> None:
    state.set("agent:1", "plan", "old")
    [version] = state.history("agent:1", "plan")
    assert version.time is not None
    with state.snapshot() as head:
        assert head.time == version.time
    with state.at(version.time) as then:
        assert then.get("agent:1", "plan") == "old" and then.sequence == 1
    assert state.sequence_at(version.time) == 1
    assert state.sequence_at(datetime(1971, 1, 1, tzinfo=timezone.utc)) == 0
    local = version.time.astimezone().replace(tzinfo=None)
    assert state.sequence_at(local) == 1
    with pytest.raises(statekeep.InvalidArgument):
        state.at(datetime.now(timezone.utc) + timedelta(days=1))


def test_a_key_tells_who_changed_it(state: statekeep.State) -> None:
    ada = state.with_origin(principal="ada", correlation_id="job-7")
    ada.set("agent:1", "plan", {"step": 1})
    state.set("agent:1", "plan", None)
    state.delete("agent:1", "plan")
    gone, null, first = state.history("agent:1", "plan")
    assert (gone.op, gone.value, gone.record, gone.until) == ("delete", None, None, None)
    assert null.value is None and null.record is not None and null.until == gone.sequence
    assert (first.op, first.value, first.principal, first.correlation_id) == (
        "put", {"step": 1}, "ada", "job-7",
    )
    assert first.commit_kind == "commit"
    state.set("agent:1", "raw", b"\xff\x00")
    assert [version.value for version in state.history("agent:1", "raw")] == [b"\xff\x00"]
    assert list(state.history("agent:1", "never")) == []


def test_what_differs_between_two_points(tmp_path: Path) -> None:
    settings = {"limits.page_keys_max": 7}
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        with state.batch() as batch:
            for number in range(20):
                batch.set("agent:1", f"{number:02}", number)
        before = state.snapshot()
        with state.batch() as batch:
            for number in range(20):
                batch.set("agent:1", f"{number:02}", -number)
            batch.delete("agent:1", "00").set("agent:2", "new", b"\x01")
        found = list(state.diff(before, state.info["head"]))
        assert [(each.key, each.change) for each in found] == [
            ("00", "removed"), *((f"{number:02}", "changed") for number in range(1, 20)), ("new", "added"),
        ]
        assert (found[0].before, found[0].after, found[0].record_after) == (0, None, None)
        assert (found[5].before, found[5].after) == (5, -5)
        assert (found[-1].before, found[-1].after) == (None, b"\x01")
        assert len(list(state.diff(1, 2, scope="agent:1", prefix="0"))) == 10
        versions = [state.set("agent:3", "k", number) for number in range(30)]
        history = state.history("agent:3", "k")
        assert [version.sequence for version in history] == versions[::-1]
        assert history.compacted is None
        before.close()


def test_expiry_and_classes(state: statekeep.State) -> None:
    past = datetime.now(timezone.utc) - timedelta(days=1)
    state.set("session:1", "over", 1, expires=past)
    state.set("session:1", "later", 2, ttl=timedelta(days=1))
    state.set("session:1", "seconds", 2, ttl=86_400)
    state.set("session:1", "never", 3, ttl=statekeep.NEVER, cls="critical", durability="relaxed")
    state.set("session:1", "memory", 4, cls="ephemeral")
    assert list(state.scope("session:1")) == ["later", "memory", "never", "seconds"]
    for key in ["later", "seconds"]:
        record = state.record("session:1", key)
        assert record is not None and record.expires is not None
        assert record.expires - record.changed == timedelta(days=1)
    never = state.record("session:1", "never")
    assert never is not None and (never.expires, never.cls) == (None, "critical")
    state.set("session:1", "ages", 5, ttl=timedelta.max)
    ages = state.record("session:1", "ages")
    assert ages is not None and ages.expires is not None and ages.expires.year == 9999
    state.delete("session:1", "ages")
    assert state.sweep() == 1 and state.sweep() == 0
    with state.batch() as batch:
        batch.set("session:2", "over", 1, expires=past).set("session:2", "there", 1, cls="archive")
    assert list(state.scope("session:2")) == ["there"]
    for wrong in [{"ttl": 0}, {"ttl": -1}, {"ttl": float("nan")}, {"cls": "precious"}]:
        with pytest.raises(statekeep.InvalidArgument):
            state.set("session:1", "k", 1, **wrong)  # type: ignore[arg-type]
    with pytest.raises(statekeep.InvalidArgument):
        state.set("session:1", "k", 1, ttl=1, expires=past)
    with pytest.raises(TypeError):
        state.set("session:1", "k", 1, tll=1)  # type: ignore[call-arg]


def test_the_past_is_trimmed_as_far_as_nobody_needs_it(tmp_path: Path) -> None:
    settings = {"keep.commits": 2, "upkeep_interval_ms": 0}
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        for number in range(10):
            state.set("agent:1", "k", number)
        with state.at(4):
            tried = state.trim(dry_run=True)
            assert tried.dry_run and (tried.floor_before, tried.floor) == (0, 4) and tried.held_by
            assert state.trim().floor == 4
        report = state.trim()
        assert report.floor == 8 and report.history_rows > 0 and not report.held_by
        with pytest.raises(statekeep.Compacted) as caught:
            state.at(4)
        assert isinstance(caught.value, LookupError) and not caught.value.retryable
        assert caught.value.detail["oldest_sequence"] == 8
        history = state.history("agent:1", "k")
        assert [version.value for version in history] == [9, 8, 7] and history.compacted == 8
        status = state.upkeep()
        assert status.last_trim is not None and status.last_trim.floor == 8 and not status.paused
        state.pause_upkeep()
        assert state.upkeep().paused
        with pytest.raises(statekeep.Cancelled):
            state.sweep()
        state.resume_upkeep()
        assert state.sweep() == 0


def test_metrics_are_text_for_prometheus(state: statekeep.State) -> None:
    state.set("agent:1", "plan", 1)
    before = state.metrics()
    assert "# TYPE statekeep_cache_hits counter\n" in before and before.endswith("# EOF\n")
    assert "statekeep_cache_hit_ratio{" not in before
    for _ in range(2):
        assert state.get("agent:1", "plan") == 1
    lines = state.metrics().splitlines()
    [ratio] = [line for line in lines if line.startswith("statekeep_cache_hit_ratio{")]
    assert ratio.endswith("} 0.5")
    with state.tenant("red") as red, pytest.raises(statekeep.PermissionDenied):
        red.metrics()
    state.close()
    with pytest.raises(statekeep.Closed):
        state.metrics()


def test_the_backend_is_swapped_while_threads_write(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state", backend="fjall") as state:
        with state.batch() as batch:
            for number in range(500):
                batch.set("agent:0", f"{number:03}", {"n": number})
        stop, turns = threading.Event(), [0] * 4

        def write(worker: int) -> None:
            while not stop.is_set():
                turns[worker] += 1
                state.set(f"agent:{worker + 1}", "n", turns[worker])
                assert state.get(f"agent:{worker + 1}", "n") == turns[worker]

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        phases: list[str] = []
        try:
            report = state.swap_backend("sqlite", progress=lambda now: phases.append(now.phase))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert (report.from_backend, report.to_backend) == ("fjall", "sqlite")
        assert report.records >= 500 and state.info["backend"] == "sqlite" and phases[-1] == "done"
        assert [state.get(f"agent:{worker + 1}", "n") for worker in range(4)] == turns
        old, new = state.namespaces()
        assert (old.id, old.is_current, new.id, new.is_current) == (
            report.replaced, False, report.namespace, True,
        )
        head = state.set("global", "since", 1)
        with pytest.raises(statekeep.Conflict, match="commit"):
            state.undo(old)
        assert state.undo(old, commits_lost_max=head) > head
        assert state.info["backend"] == "fjall" and state.get("global", "since") is None
        assert state.get("agent:0", "123") == {"n": 123}
        state.release_namespace(new)
        assert [namespace.id for namespace in state.namespaces()] == [old.id]


def test_queries_and_indexes(state: statekeep.State) -> None:
    with state.batch() as batch:
        for number in range(60):
            task = {"status": "open" if number % 3 else "done", "rank": number}
            batch.set(f"agent:{number % 4}", f"{number:02}", task)
        batch.set("agent:0", "raw", b"\x00")
    where = [{"path": "$.status", "eq": "open"}]
    without = [(row.scope, row.key, row.value) for row in state.query(scope="agent:*", where=where)]
    assert len(without) == 40
    assert state.explain(scope="agent:*", where=where).index is None
    phases: list[str] = []
    index = state.create_index(
        "by-status", "$.status", scope="agent:*", progress=lambda now: phases.append(now.phase)
    )
    assert (index.state, index.indexed, phases[-1]) == ("ready", 60, "done")
    assert state.create_index("by-status", "$.status", scope="agent:*").name == "by-status"
    with pytest.raises(statekeep.AlreadyExists):
        state.create_index("by-status", "$.rank", scope="agent:*")
    rows = state.query({"scope": "agent:*"}, where=where)
    assert sorted((row.scope, row.key, str(row.value)) for row in rows) == sorted(
        (scope, key, str(value)) for scope, key, value in without
    )
    assert (rows.index, rows.examined, rows.next) == ("by-status", 40, None)
    plan = state.explain({"scope": "agent:*", "where": where})
    assert (plan.index, plan.estimate) == ("by-status", 40)
    top = state.query(order_by=[{"path": "$.rank", "descending": True}], limit=3, select=["$.rank"])
    assert [row.value for row in top] == [{"$.rank": 59}, {"$.rank": 58}, {"$.rank": 57}]
    assert top.next is not None
    order = [{"path": "$.rank", "descending": True}]
    assert [row.key for row in state.query(order_by=order, limit=2, after=top.next)] == ["56", "55"]
    assert [row.name for row in state.indexes()] == ["by-status"]
    state.drop_index(index)
    assert state.indexes() == []
    with pytest.raises(statekeep.NotFound):
        state.drop_index("by-status")
    with pytest.raises(statekeep.InvalidArgument):
        list(state.query(were=[]))
    with pytest.raises(statekeep.InvalidArgument):
        list(state.query(where=[{"path": "$.n", "eq": {1}}]))


def test_a_query_reads_all_pages(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state", settings={"limits.page_bytes_max": 4096}) as state:
        for number in range(40):
            state.set("agent:1", f"{number:02}", {"text": "x" * 1000, "n": number})
        assert [row.value["n"] for row in state.query(scope="agent:1")] == list(range(40))
        assert [row.value["n"] for row in state.query(scope="agent:1", limit=17)] == list(range(17))
        assert len(list(state.query(scope="agent:1", offset=5, limit=30))) == 30
