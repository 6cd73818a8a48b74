"""Backups as a Python programmer meets them."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

import statekeep


@pytest.mark.parametrize("codec", ["zstd", "brotli", "gzip", "lz4"])
def test_backup_damage_restore(state: statekeep.State, codec: str) -> None:
    with state.batch() as batch:
        for number in range(500):
            batch.set(f"session:{number % 7}", f"m{number:04}", {"n": number, "text": "word " * 20})
    before = {name: dict(state.scope(name).items()) for name in state.scopes()}
    seen: list[statekeep.Progress] = []
    backup = state.backups.create(label="L", tags=["a"], codec=codec, progress=seen.append)
    assert backup.records == 500 and backup.label == "L" and backup.tags == ("a",)
    assert seen[-1].done and seen[-1].records == 500
    assert [row.id for row in state.backups.list()] == [backup.id]
    report = state.backups.verify(backup)
    assert report.is_valid and report.checksum_valid and report.integrity_valid and not report.errors
    [known] = state.backups.list()
    assert known.last_verified is not None and known.last_restore_test is None
    assert state.backups.verify(backup, restore_test=True).records == 500
    assert state.backups.show(backup).last_restore_test is not None
    for name in list(state.scopes()):
        state.scope(name).clear()
    state.set("global", "stray", 1)
    scope = state.scope("session:1")
    result = state.backups.restore(backup.id)
    assert result.records == 500
    assert {name: dict(state.scope(name).items()) for name in state.scopes()} == before
    assert "m0001" in scope


def test_a_chain_is_merged_into_a_synthetic_full(state: statekeep.State) -> None:
    state.set("global", "k", 1)
    full = state.backups.create()
    state.set("global", "k", 2)
    last = state.backups.create(incremental=True)
    assert last.kind == "incremental" and last.parent == full.id
    made = state.backups.create(synthetic=True)
    assert made.kind == "synthetic" and made.merged_from == last.id and made.records == 1
    assert state.backups.verify(made).is_valid
    with pytest.raises(statekeep.InvalidArgument):
        state.backups.create(synthetic=True, from_backup=full)
    with pytest.raises(statekeep.InvalidArgument):
        state.backups.create(from_backup=last)
    state.set("global", "k", 3)
    state.backups.restore(made)
    assert state.get("global", "k") == 2


def test_a_schedule_says_what_it_does_and_what_will_not_work(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "none") as state:
        assert state.backups.schedule()["enabled"] is False
    settings = {
        "backup.every": "1d",
        "backup.hold_ms": 1000,
        "backup.incremental_enabled": True,
        "keep.commits": 5,
    }
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        found = state.backups.schedule()
        assert found["enabled"] is True and found["every_ms"] == 86_400_000
        assert found["daily_at"] is None and found["failures"] == 0
        assert "`backup.hold_ms` to 1" in found["warning"]
        assert found["cleanups"]["enabled"] is False


def test_a_scheduled_cleanup_follows_no_backup(tmp_path: Path) -> None:
    settings = {"backup.max_backups": 1, "retention.automatic": False}
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        for _ in range(3):
            state.backups.create()
        assert len(state.backups.list()) == 3
    settings["retention.every"] = "1h"
    with statekeep.open(tmp_path / "state", settings=settings) as state:
        while not (found := state.backups.schedule()["cleanups"])["runs"]:
            assert found["enabled"] is True and found["last_error"] is None, found
            time.sleep(0.01)
        assert found["last_run"]["done"] == {"deleted": 2, "purged": 0, "space_freed": 0}
        assert found["next_run_unix_ms"] >= found["newest_unix_ms"] + 3_600_000
        assert len(state.backups.list()) == 1


class Held(Exception):
    pass


def held(seen: statekeep.Progress) -> None:
    assert not seen.done, "it was not held back"
    if seen.phase not in ("waiting", "preparing"):
        raise Held


def test_what_a_limit_holds_back_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    """At one byte a second nothing of this would end of itself."""
    with statekeep.open(tmp_path / "state") as state:
        state.set("global", "k", "v" * 100_000)
        with pytest.raises(Held):
            state.backups.create(limit_rate=1, progress=held)
        assert state.backups.list() == []
        made = state.backups.create(limit_rate=1 << 40)
        with pytest.raises(Held):
            state.backups.verify(made, limit_rate=1, progress=held)
        with pytest.raises(Held):
            state.backups.restore(made, limit_rate=1, safety_backup=False, progress=held)
        path = tmp_path / "state.jsonl"
        with pytest.raises(Held):
            state.export(path, limit_rate=1, progress=held)
        assert not path.exists()
        state.export(path, limit_rate=1 << 40)
        with pytest.raises(Held):
            state.import_(path, mode="merge", limit_rate=1, progress=held)


def test_a_cleanup_deletes_what_policies_forget_and_can_be_taken_back(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state") as state:
        made = []
        for n in range(4):
            state.set("global", "k", n)
            made.append(state.backups.create().id)
        with pytest.raises(statekeep.Unsupported):
            state.backups.cleanup()
        count = [{"policy": "count", "keep": 2}]
        plan = state.backups.cleanup(policies=count, dry_run=True)
        assert (plan.dry_run, plan.would_delete, plan.deleted) == (True, 2, 0)
        assert [row["keep"] for row in plan.decisions] == [False, False, True, True]
        failed = state.backups.cleanup(policies=[{"policy": "unheard"}])
        assert failed.failure and "unheard" in failed.failure and failed.deleted == 0

        done = state.backups.cleanup(policies=count, mode="all", principal="Ada")
        assert (done.retained, done.deleted, done.space_freed) == (2, 2, 0)
        trash = state.backups.trash()
        assert [row.id for row in trash] == made[:2] and trash[0].principal == "Ada"
        assert not trash[0].purged and trash[0].grace_until > trash[0].deleted
        with pytest.raises(statekeep.NotFound):
            state.backups.show(made[0])
        state.backups.undelete(trash[0])
        state.backups.delete(made[0])
        state.backups.undelete(made[0])
        assert [backup.id for backup in state.backups.list()] == [made[0], *made[2:]]

        own = state.backups.cleanup(state=True, dry_run=True).state
        assert own["removed"] is None and own["would_remove"]["expired_keys"] == 0
        assert own["limits"]["keep"]["age_ms"] == 30 * 24 * 3_600_000
        assert state.backups.cleanup(state=True).state["removed"]["journal_rows"] == 0

        gone = state.backups.cleanup(policies=count, grace=timedelta(0))
        assert gone.deleted == 1 and gone.space_freed > 0
        assert gone.report["collected"]["purged"] == [made[0]]
        with pytest.raises(statekeep.NotFound):
            state.backups.undelete(made[0])


def test_a_damaged_backup_is_named_and_the_state_untouched(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state") as state:
        state.set("global", "k", "before")
        backup = state.backups.create()
        state.set("global", "k", "after")
        segment = next((tmp_path / "state" / "backups" / "seg").iterdir())
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 1
        segment.chmod(0o600)
        segment.write_bytes(data)
        report = state.backups.verify(backup)
        assert not report.is_valid and segment.name in report.errors[0]
        assert state.backups.show(backup).last_verified is None
        assert state.backups.problems() == ()
        with pytest.raises(statekeep.Corrupt) as caught:
            state.backups.restore(backup)
        assert segment.name in str(caught.value)
        assert state.get("global", "k") == "after"
        with pytest.raises(statekeep.Error):
            state.backups.restore("../victim")
        with pytest.raises(statekeep.NotFound):
            state.backups.show("01ARZ3NDEKTSV4RRFFQ69G5FAV")
        manifest = next((tmp_path / "state" / "backups" / "man").glob(backup.id))
        manifest.chmod(0o600)
        manifest.write_text("edited")
        [problem] = state.backups.problems()
        assert backup.id in problem
        assert backup.id not in [row.id for row in state.backups.list()]


def test_a_repository_that_is_not_there_does_not_look_well(state: statekeep.State) -> None:
    with pytest.raises(statekeep.NotFound, match="no backup repository"):
        state.backups.check()
    with pytest.raises(statekeep.NotFound, match="no backup repository"):
        state.backups.repair()


def test_a_pin_is_shown_until_it_is_taken_away(state: statekeep.State) -> None:
    kept, other = state.backups.create(pin=True), state.backups.create()
    assert kept.pin and not other.pin
    assert [backup.pin for backup in state.backups.list()] == [True, False]
    state.backups.unpin(kept)
    state.backups.pin(other.id)
    assert [backup.pin for backup in state.backups.list()] == [False, True]
    assert state.backups.show(other).pin
    with pytest.raises(statekeep.NotFound):
        state.backups.pin("01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_what_no_backup_needs_is_found_and_removed(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state") as state:
        state.set("global", "k", 1)
        backup = state.backups.create()
        report = state.backups.check()
        assert report.is_valid and not report.encrypted
        assert report.backups == 1 and report.strays.objects == 0
        assert report.unread_bytes > 0 and report.report["unread_objects"] == 1
        segments = tmp_path / "state" / "backups" / "seg"
        stray = segments / "01ARZ3NDEKTSV4RRFFQ69G5FAV-000000.seg"
        stray.write_bytes(b"left over")
        plan = state.backups.prune_strays()
        assert plan.dry_run and plan.would_remove.bytes == 9 and plan.removed.objects == 0
        assert plan.would_remove.listed[0].object == f"seg/{stray.name}"
        assert stray.exists()
        done = state.backups.prune_strays(dry_run=False)
        assert done.removed.objects == 1 and not stray.exists()
        assert state.backups.repair()["problems"] == []
        next(path for path in segments.iterdir()).unlink()
        report = state.backups.check()
        assert not report.is_valid and backup.id in report.problems[0]


def test_an_encrypted_repository_has_keys_that_come_and_go(tmp_path: Path) -> None:
    def open(passphrase: str | None) -> statekeep.State:
        settings = {} if passphrase is None else {"backup.encryption.passphrase": passphrase}
        return statekeep.open(tmp_path / "state", settings=settings)

    with open("correct horse") as state:
        state.set("agent:a", "marker-key", "marker-value")
        backup = state.backups.create(codec="none", label="marker-label")
        (first,) = state.backups.keys()
        assert first.kind == "passphrase" and first.in_use
        added = state.backups.add_key(passphrase="battery staple", label="of Ada")
        assert added.label == "of Ada" and not added.in_use
        with pytest.raises(statekeep.Conflict):
            state.backups.remove_key(first)
        with pytest.raises(statekeep.InvalidArgument):
            state.backups.add_key(passphrase="x", key_file="y")
    for path in (tmp_path / "state" / "backups").rglob("*"):
        assert path.is_dir() or b"marker" not in path.read_bytes(), path
    for wrong in [None, "correct horse "]:
        with open(wrong) as state, pytest.raises(statekeep.PermissionDenied):
            state.backups.list()
    with open("battery staple") as state:
        state.backups.remove_key(first.id)
        changed = state.backups.change_key(passphrase="third")
        assert changed.in_use and changed.label == "of Ada"
        state.set("agent:a", "marker-key", "ruined")
        state.backups.restore(backup)
        assert state.get("agent:a", "marker-key") == "marker-value"
    with open("third") as state:
        assert state.backups.verify(backup).is_valid and state.backups.check().encrypted
        assert [key.id for key in state.backups.keys()] == [changed.id]


def test_a_level_is_checked_before_it_is_recorded(state: statekeep.State) -> None:
    for level in [99999, -(2**31), 23]:
        with pytest.raises(statekeep.InvalidArgument, match="compression level"):
            state.backups.create(level=level)
    assert state.backups.create(level=1).manifest["level"] == 1
    assert "level" not in state.backups.create(codec="none", level=1).manifest


def test_an_exception_in_progress_cancels(state: statekeep.State) -> None:
    state.set("global", "k", 1)

    def stop(progress: statekeep.Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        state.backups.create(progress=stop)
    state.backups.create()


def test_writers_go_on_during_a_backup(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state", backend="memory") as state:
        stop = threading.Event()

        def write() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                with state.batch() as batch:
                    batch.set("user:a", "n", turn).set("user:b", "n", turn)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            backups = [state.backups.create() for _ in range(5)]
        finally:
            stop.set()
            thread.join()
        for backup in backups:
            state.backups.restore(backup)
            assert state.get("user:a", "n") == state.get("user:b", "n")


def test_a_part_is_restored_and_told_before(state: statekeep.State) -> None:
    acme = state.tenant("acme")
    acme.set("user:1", "kept", 1)
    acme.set("user:1", "changed", 1)
    state.set("user:1", "other", "stays")
    backup = state.backups.create()
    acme.set("user:1", "changed", 2)
    acme.set("user:1", "extra", 3)
    state.set("user:1", "other", "changed since")

    with pytest.raises(statekeep.InvalidArgument):
        state.backups.restore(backup, tenant="acme")
    told = state.backups.restore(backup, tenant="acme", mode="replace", dry_run=True)
    assert (told.added, told.changed, told.removed) == (0, 1, 1)
    assert acme.get("user:1", "changed") == 2
    done = state.backups.restore(backup, tenant="acme", mode="replace")
    assert (done.added, done.changed, done.removed) == (0, 1, 1)
    assert acme.get("user:1", "changed") == 1 and acme.get("user:1", "extra") is None
    assert state.get("user:1", "other") == "changed since"

    diff = state.backups.diff(backup)
    assert (diff.added, diff.changed, diff.removed) == (0, 1, 0)
    assert diff.samples["changed"] == [{"tenant": "", "scope": "user:1", "key": "other"}]
    assert done.safety_backup is not None
    back = state.backups.diff(backup, done.safety_backup, tenant="acme")
    assert (back.added, back.changed, back.removed) == (1, 1, 0)


def test_a_backup_is_restored_elsewhere(state: statekeep.State, tmp_path: Path) -> None:
    state.set("user:1", "k", 1)
    backup = state.backups.create()
    state.set("user:1", "k", 2)
    copy = tmp_path / "copy"
    report = state.backups.restore(backup, to_dir=copy, backend="redb")
    assert report.safety_backup is None and state.get("user:1", "k") == 2
    with statekeep.open(copy, backend="redb") as other:
        assert other.get("user:1", "k") == 1
        assert other.backups.list() == []
    with pytest.raises(statekeep.AlreadyExists):
        state.backups.restore(backup, to_dir=copy)


def test_a_restore_is_undone(state: statekeep.State) -> None:
    state.set("user:1", "k", 1)
    backup = state.backups.create()
    state.set("user:1", "k", 2)
    report = state.backups.restore(backup)
    assert state.get("user:1", "k") == 1 and report.replaced is not None
    if state.info["backend"] == "memory":
        with pytest.raises(statekeep.NotFound, match="in memory only"):
            state.undo(report.replaced)
        return
    state.undo(report.replaced)
    assert state.get("user:1", "k") == 2
