"""Export and import as a Python programmer meets them."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import statekeep
import statekeep.aio


def fill(state: statekeep.State) -> None:
    state.set("agent:1", "plan", {"step": 1})
    state.set("agent:1", "raw", b"\xff\x00")
    state.tenant("acme").set("global", "k", [1, 2])


def test_an_export_is_text_that_any_program_reads(state: statekeep.State, tmp_path: Path) -> None:
    fill(state)
    report = state.export(tmp_path / "all.jsonl.gz")
    assert report.records == 3 and report.path.endswith("all.jsonl.gz")
    lines = [json.loads(line) for line in gzip.open(report.path, "rt", encoding="utf-8")]
    assert lines[0]["statekeep_export"] == 1 and lines[-1]["records"] == 3
    assert [line["key"] for line in lines[1:-1]] == ["plan", "raw", "k"]
    assert lines[1]["value"] == {"step": 1} and lines[2]["base64"] == "/wA="
    with pytest.raises(statekeep.AlreadyExists):
        state.export(report.path)

    with statekeep.open(tmp_path / "copy") as copy:
        result = copy.import_(report.path, mode="replace")
        assert result.written == 3 and result.times_kept and result.added is None
        assert copy.get("agent:1", "raw") == b"\xff\x00"
        assert copy.tenant("acme").get("global", "k") == [1, 2]


def test_backups_the_past_and_parts(state: statekeep.State, tmp_path: Path) -> None:
    fill(state)
    backup = state.backups.create()
    sequence = state.info["head"]
    state.set("agent:1", "plan", "ruined")
    state.set("agent:2", "new", 1)
    ways: list[dict[str, Any]] = [{"backup": backup}, {"backup": backup.id}, {"at": sequence}]
    for number, way in enumerate(ways):
        path = tmp_path / f"{number}.json"
        assert state.export(path, tenant="", **way).records == 2
        assert json.loads(path.read_text())["records"][0]["value"] == {"step": 1}
    result = state.import_(path, mode="replace", dry_run=True)
    assert (result.added, result.changed, result.removed) == (0, 1, 1)
    assert result.changed_samples == (("", "agent:1", "plan"),)
    assert result.removed_samples == (("", "agent:2", "new"),)
    assert state.get("agent:1", "plan") == "ruined"
    result = state.import_(path, mode="replace", principal="ada")
    assert (result.commits, result.removed) == (1, 1)
    assert state.get("agent:1", "plan") == {"step": 1} and not state.exists("agent:2", "new")
    assert next(iter(state.history("agent:1", "plan"))).principal == "ada"
    with pytest.raises(statekeep.InvalidArgument):
        state.export(tmp_path / "x", at=datetime(9000, 1, 1, tzinfo=timezone.utc))


def test_a_moment_in_the_history_of_a_backup(state: statekeep.State, tmp_path: Path) -> None:
    state.set("agent:1", "plan", 1)
    sequence = state.info["head"]
    state.set("agent:1", "plan", 2)
    backup = state.backups.create(history=True)
    state.set("agent:1", "plan", 3)
    for number, (at, wanted) in enumerate([(sequence, 1), (backup.sequence, 2), (None, 2)]):
        path = tmp_path / f"{number}.json"
        report = state.export(path, backup=backup, at=at)
        assert json.loads(path.read_text())["records"][0]["value"] == wanted
        assert report.sequence == (at or backup.sequence)
    with pytest.raises(statekeep.NotFound, match="has not sequence"):
        state.export(tmp_path / "later.json", backup=backup, at=sequence + 99)


def test_lines_of_other_programs(state: statekeep.State, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"scope":"user:1","key":"a","value":1}\n{"scope":"user:1","key":2}\n')
    with pytest.raises(statekeep.InvalidArgument, match="line 2"):
        state.import_(path, mode="merge", plain=True)
    assert state.scopes() == []
    path.write_text('{"scope":"user:1","key":"a","value":1}\n')
    seen: list[statekeep.Progress] = []
    assert state.import_(path, mode="merge", plain=True, progress=seen.append).added == 1
    assert seen[-1].done and state.get("user:1", "a") == 1
    with pytest.raises(statekeep.PermissionDenied):
        state.tenant("acme").import_(path, mode="merge", plain=True)


def test_in_asyncio(tmp_path: Path) -> None:
    async def run() -> None:
        async with statekeep.aio.open(tmp_path / "state") as state:
            await state.set("global", "k", 1)
            report = await state.export(tmp_path / "out.jsonl")
            result = await state.import_(report.path, mode="merge")
            assert (result.unchanged, result.commits) == (1, 0)

    asyncio.run(run())
