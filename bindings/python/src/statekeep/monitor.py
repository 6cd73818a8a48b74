"""What operators want to know of a state: alerts, and what happens, as events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import errors
from ._ffi import document, ffi, handle, lib, options, take
from ._owned import Owned
from ._time import Duration, moment
from ._waiting import wait


@dataclass(frozen=True)
class Alert:
    """Something that somebody should know of: `id` is the rule, such as `"no_verified_backup"`, `severity`
    `"warning"` or `"critical"`, `subject` what it concerns, and `next_step` what to do about it."""

    id: str
    severity: str
    subject: str
    message: str
    since: datetime
    next_step: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Alert:
        """From the library's JSON."""
        fields = cls.__dataclass_fields__.keys() - {"since"}
        return cls(**{field: row[field] for field in fields}, since=moment(row["since_unix_ms"]))


@dataclass(frozen=True)
class Event:
    """Something that happened: `kind` is `"alert_raised"`, `"backup_created"` and so on, `subject` what it
    happened to.

    `standing` says of an alert that it held before the subscription began, `lost` how many events right
    before this one were dropped, since nobody read.
    """

    number: int
    time: datetime
    kind: str
    subject: str
    correlation_id: str | None
    principal: str | None
    standing: bool
    lost: int
    detail: dict[str, Any]

    @classmethod
    def of(cls, row: dict[str, Any]) -> Event:
        """From the library's JSON."""
        fields = cls.__dataclass_fields__.keys() - {"time"}
        return cls(**{field: row[field] for field in fields}, time=moment(row["time_unix_ms"]))


@dataclass(frozen=True)
class Finding:
    """Something that the doctor found (`"note"`, `"warning"`, `"error"`), or looked at and found well
    (`"fine"`). `cause` says why, `next_step` what to do."""

    severity: str
    area: str
    what: str
    cause: str | None
    next_step: str | None


class Events(Owned, Iterator[Event]):
    """The events that match, in order: `for event in state.events(): ...` waits for each, and ends when
    the subscription or the state is closed. From any thread; an event goes to one of the callers."""

    _what = "subscription"

    def __init__(self, pointer: Any, state: Owned) -> None:
        super().__init__(pointer, lib.statekeep_events_close)
        self._state = state  # Keeps it open.

    def __next__(self) -> Event:
        try:
            event = self.next()
        except errors.Closed:
            raise StopIteration from None
        if event is None:
            raise StopIteration
        return event

    def next(self, timeout: Duration | None = None) -> Event | None:
        """The next event; None when none came within `timeout` seconds, or when the interpreter ends.

        Raises `Closed` once the subscription or the state is closed.
        """
        out = ffi.new("statekeep_buf *")

        def look(slice_ms: int, err: Any) -> int:
            return int(lib.statekeep_events_next(self.handle, slice_ms, out, err))

        return Event.of(json.loads(take(out))) if wait(look, timeout) else None


class Monitoring(Owned):
    """Monitors a state."""

    def events(
        self,
        kinds: Sequence[str] = (),
        *,
        subject: str | None = None,
        queue_max: int | None = None,
    ) -> Events:
        """Subscribes to events of these kinds, or all: `alert_raised`, `alert_changed`, `alert_cleared`,
        `backup_created`, `backup_failed`, `backup_deleted`, `backup_undeleted`, `cleanup_done`,
        `cleanup_failed`, `verify_done`, `restore_done`. The alerts that hold come first.

        `subject` is a pattern (`*`, `?`); `queue_max` is how many events may wait to be read.
        """
        asked = options(
            {"kinds": list(kinds) or None, "subject": subject, "queue_max": queue_max}
        )
        return Events(
            handle("statekeep_events", lib.statekeep_events_open, self.handle, *asked), self
        )

    def alerts(self) -> list[Alert]:
        """The alerts that hold now, worst first. Their limits are the settings `alerts.*`."""
        rows = document(lib.statekeep_alerts_json, self.handle)["alerts"]
        return [Alert.of(row) for row in rows]

    def doctor(self) -> list[Finding]:
        """What is wrong with the state and its backups, worst first, and what was looked at and is well.
        Reads every document of the repository, and no record."""
        rows = document(lib.statekeep_doctor_json, self.handle)["findings"]
        return [Finding(**row) for row in rows]
