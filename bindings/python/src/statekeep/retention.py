"""Retention before it deletes: what is in force, what a rule would say, and what it would keep when."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ._ffi import document, handle, invalid, lib, options, whole
from ._time import Duration, duration_ms, moment, moment_or_none, unix_ms
from .operation import ProgressCallback, finish
from .policies import reraise

if TYPE_CHECKING:
    from .state import State


@dataclass(frozen=True)
class RetentionSetting:
    """A setting with its value, and who gave it: `"default"`, a file, a variable or `"set"`."""

    key: str
    value: Any
    source: str


@dataclass(frozen=True)
class RetentionInForce:
    """Which backups stay: by a rule (`None` keeps all), its settings, and floors that hold against every
    policy. `state` has the settings of the state's own past."""

    rule: dict[str, Any] | None
    rule_in_words: str | None
    settings: tuple[RetentionSetting, ...]
    floors: tuple[str, ...]
    state: tuple[RetentionSetting, ...]


@dataclass(frozen=True)
class RetentionTrial:
    """What a rule would keep and delete. `failure` is why nothing was decided; `decisions` says of each
    backup whether it stays (`keep`), why (`reason`), and what each policy said (`votes`)."""

    rule_in_words: str
    at: datetime
    evaluated: int
    retained: int
    would_delete: int
    would_free: int
    decisions: list[dict[str, Any]]
    failure: str | None


@dataclass(frozen=True)
class RetentionSample:
    """The numbers at a time of a simulation. `by_keeper` are those of `Simulation.keepers`."""

    at: datetime
    kept: int
    kept_max: int
    by_keeper: tuple[int, ...]
    bytes: int
    trash_bytes: int
    bytes_max_with_trash: int
    oldest_age: timedelta


@dataclass(frozen=True)
class Lifeline:
    """A simulated backup from its making to its end. `keeper` is the place of what kept it last in
    `Simulation.keepers`, `reason` why it is kept or was forgotten."""

    id: str
    made: datetime
    kind: str
    stored_bytes: int
    verified: bool
    forgotten: datetime | None
    removed: datetime | None
    keeper: int | None
    reason: str


@dataclass(frozen=True)
class Simulation:
    """What a rule would keep when. `report` has everything that the library told; a notebook shows the
    picture."""

    rule_in_words: str
    made: int
    forgotten: int
    kept: int
    kept_max: int
    bytes: int
    bytes_max: int
    bytes_max_with_trash: int
    oldest_age: timedelta
    keepers: list[dict[str, Any]]
    coverage: list[dict[str, Any]]
    warnings: list[str]
    course: tuple[RetentionSample, ...] = field(repr=False)
    lifelines: tuple[Lifeline, ...] = field(repr=False)
    svg: str = field(repr=False)
    report: dict[str, Any] = field(repr=False)

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the picture as `.svg`. It needs nothing else."""
        target = Path(path)
        if target.suffix != ".svg":
            raise invalid("a simulation is saved as .svg; `statekeep retention simulate` writes .html too")
        target.write_text(self.svg, encoding="utf-8")


def _in_force(row: dict[str, Any]) -> RetentionInForce:
    return RetentionInForce(
        rule=row["rule"],
        rule_in_words=row["rule_in_words"],
        settings=tuple(RetentionSetting(**setting) for setting in row["settings"]),
        floors=tuple(row["floors"]),
        state=tuple(RetentionSetting(**setting) for setting in row["state"]),
    )


class Retention:
    """Which backups stay, and what that will mean."""

    def __init__(self, state: State) -> None:
        self._state = state

    def show(self) -> RetentionInForce:
        """What is in force, and who set it."""
        return _in_force(document(lib.statekeep_retention_show_json, self._state.handle))

    def set(self, /, **settings: Any) -> RetentionInForce:
        """Gives the open state another retention, all of it or nothing: settings of `retention` by their
        names, `max_backups` and `max_backup_age`, such as `set(policies=[{"policy": "count", "keep": 7}],
        grace="14d")`; `None` for what is configured no more. Every policy is tried before. It holds for all
        who share the state until that is closed, and is written nowhere; `statekeep retention set` writes
        the configuration file."""
        asked = whole(settings)
        row = document(lib.statekeep_retention_set_json, self._state.handle, *asked)
        return _in_force(row)

    def test(
        self,
        *,
        policies: Sequence[Mapping[str, Any]] | None = None,
        mode: Literal["any", "all"] | None = None,
        backups: Sequence[Mapping[str, Any]] | None = None,
        at: datetime | None = None,
    ) -> RetentionTrial:
        """What a rule would keep and delete of the present backups, or of `backups`, each with
        `started_unix_ms` or `age_ms` and, if wanted, `id`, `kind`, `tags`, `stored_bytes` and more. Nothing
        is deleted. `policies` are like `{"policy": "count", "keep": 7}`, the configured ones when `None`."""
        asked = options(
            {
                "policies": _rows(policies),
                "mode": mode,
                "backups": _rows(backups),
                "at_unix_ms": None if at is None else unix_ms(at),
            }
        )
        row = document(lib.statekeep_retention_test_json, self._state.handle, *asked)
        reraise(row["failure"])
        at_ms = row.pop("at_unix_ms")
        return RetentionTrial(at=moment(at_ms), **row)

    def simulate(
        self,
        *,
        policies: Sequence[Mapping[str, Any]] | None = None,
        mode: Literal["any", "all"] | None = None,
        every: Duration | None = None,
        daily_at: str | None = None,
        duration: Duration | None = None,
        start: datetime | None = None,
        chain_max: int | None = None,
        full_every: Duration | None = None,
        full_bytes: int | str | None = None,
        incremental_bytes: int | str | None = None,
        growth_bytes_a_day: int | None = None,
        verify_every: int | None = None,
        tags: Mapping[str, int] | None = None,
        grace: Duration | None = None,
        progress: ProgressCallback | None = None,
    ) -> Simulation:
        """Plays a rule over the time to come, with a cleanup after each backup; nothing is touched.

        A backup is made `every` so often, or at a time of the day, for a `duration` (365 days). Each
        `tags["release"]`-th has the tag `release`, each `verify_every`-th is verified (all). What is not
        said is as configured, sizes are those of the present backups."""
        asked = options(
            {
                "policies": _rows(policies),
                "mode": mode,
                "every_ms": _ms(every, "every"),
                "daily_at": daily_at,
                "for_ms": _ms(duration, "duration"),
                "start_unix_ms": None if start is None else unix_ms(start),
                "chain_max": chain_max,
                "full_every_ms": _ms(full_every, "full_every"),
                "full_bytes": full_bytes,
                "incremental_bytes": incremental_bytes,
                "growth_bytes_a_day": growth_bytes_a_day,
                "verify_every": verify_every,
                "tags": None
                if tags is None
                else [{"tag": tag, "every": every} for tag, every in tags.items()],
                "grace_ms": _ms(grace, "grace"),
                "format": "svg",
            }
        )
        op = handle("statekeep_op", lib.statekeep_retention_simulate_start, self._state.handle, *asked)
        return _simulation(finish(op, progress))


def _rows(rows: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    return None if rows is None else [dict(row) for row in rows]


def _ms(duration: Duration | None, what: str) -> int | None:
    return None if duration is None else duration_ms(duration, what)


def _simulation(row: dict[str, Any]) -> Simulation:
    svg = row.pop("picture")
    course = tuple(
        RetentionSample(
            at=moment(at["at_unix_ms"]),
            kept=at["kept"],
            kept_max=at["kept_max"],
            by_keeper=tuple(at["by_keeper"]),
            bytes=at["bytes"],
            trash_bytes=at["trash_bytes"],
            bytes_max_with_trash=at["bytes_max_with_trash"],
            oldest_age=timedelta(milliseconds=at["oldest_age_ms"]),
        )
        for at in row["course"]
    )
    lifelines = tuple(
        Lifeline(
            id=line["id"],
            made=moment(line["made_unix_ms"]),
            kind=line["kind"],
            stored_bytes=line["stored_bytes"],
            verified=line["verified"],
            forgotten=moment_or_none(line["forgotten_unix_ms"]),
            removed=moment_or_none(line["removed_unix_ms"]),
            keeper=line["keeper"],
            reason=line["reason"],
        )
        for line in row["lifelines"]
    )
    return Simulation(
        rule_in_words=row["rule_in_words"],
        made=row["made"],
        forgotten=row["forgotten"],
        kept=row["kept"],
        kept_max=row["kept_max"],
        bytes=row["bytes"],
        bytes_max=row["bytes_max"],
        bytes_max_with_trash=row["bytes_max_with_trash"],
        oldest_age=timedelta(milliseconds=row["oldest_age_ms"]),
        keepers=row["keepers"],
        coverage=row["coverage"],
        warnings=row["warnings"],
        course=course,
        lifelines=lifelines,
        svg=svg,
        report=row,
    )
