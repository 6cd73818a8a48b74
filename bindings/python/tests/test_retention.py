"""Retention before it deletes: what is in force, trials and simulations, also for coroutines."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
import statekeep
import statekeep.aio


def test_what_is_in_force_is_told_with_its_source(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state", settings={"backup.max_backups": 7}) as state:
        shown = state.retention.show()
    assert shown.rule_in_words == "count(keep 7)"
    sources = {setting.key: setting.source for setting in shown.settings}
    assert (sources["backup.max_backups"], sources["retention.grace"]) == ("set", "default")
    assert "pinned" in shown.floors
    assert "keep.age_ms" in {setting.key for setting in shown.state}


def test_an_open_state_is_given_another_retention(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state", settings={"backup.max_backups": 7}) as state:
        shown = state.retention.set(policies=[{"policy": "count", "keep": 2}], max_backups=None, grace="1d")
        assert shown.rule_in_words == "count(keep 2)"
        assert shown == state.retention.show()
        for _ in range(4):
            state.backups.create()
        report = state.backups.cleanup()
        assert report.retained == 2
        with pytest.raises(statekeep.Error, match="nobody"):
            state.retention.set(policies=[{"policy": "nobody"}])
        with pytest.raises(statekeep.InvalidArgument, match="path"):
            state.retention.set(path="elsewhere")
        assert state.retention.show() == shown


def test_a_trial_deletes_nothing_and_says_why(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state") as state:
        made = [state.backups.create() for _ in range(3)]
        trial = state.retention.test(policies=[{"policy": "count", "keep": 2}])
        assert (trial.evaluated, trial.retained, trial.would_delete) == (3, 2, 1)
        assert trial.decisions[0]["backup"] == made[0].id
        assert len(state.backups.list()) == 3
        days = [{"id": "a", "age_ms": 10 * 86_400_000}, {"id": "b", "age_ms": 3 * 86_400_000}]
        trial = state.retention.test(policies=[{"policy": "age", "max_age": "7d"}], backups=days)
        assert [row["keep"] for row in trial.decisions] == [False, True]
        with pytest.raises(statekeep.Unsupported):
            state.retention.test()


def test_a_simulation_has_numbers_lifelines_and_a_picture(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state") as state:
        played = state.retention.simulate(
            policies=[{"policy": "calendar", "daily": 3, "weekly": 2}],
            every=timedelta(hours=6),
            duration=timedelta(days=30),
            full_bytes=1000,
            tags={"release": 10},
        )
    assert (played.made, played.kept + played.forgotten) == (121, 121)
    assert len(played.lifelines) == 121
    alive = [line for line in played.lifelines if line.forgotten is None]
    assert len(alive) == played.kept == played.course[-1].kept
    assert {played.keepers[line.keeper]["name"] for line in alive if line.keeper is not None} >= {"calendar"}
    assert played._repr_svg_().startswith("<svg")
    played.save(tmp_path / "plan.svg")
    assert (tmp_path / "plan.svg").read_text(encoding="utf-8") == played.svg
    with pytest.raises(ValueError):
        played.save(tmp_path / "plan.png")


def test_coroutines_simulate_too(tmp_path: Path) -> None:
    async def play() -> int:
        async with statekeep.aio.open(tmp_path / "state") as state:
            shown = await state.retention.show()
            assert shown.rule is None
            played = await state.retention.simulate(
                policies=[{"policy": "count", "keep": 4}], every=timedelta(days=1), duration=timedelta(days=9)
            )
            return played.kept

    assert asyncio.run(play()) == 4
