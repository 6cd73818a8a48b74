"""Times: `datetime` in Python, milliseconds since 1970 UTC in the library.

A `datetime` without a time zone is local time, as everywhere in Python.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Union

from ._ffi import invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MS = timedelta(milliseconds=1)
_US = timedelta(microseconds=1)
_MS_MAX = (1 << 63) - 1
_MS_LAST = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MS

#: A length of time: a `timedelta`, or a number of seconds.
Duration = Union[timedelta, int, float]


def unix_ms(time: datetime) -> int:
    """The millisecond in which a time falls."""
    return (time.astimezone(timezone.utc) - _EPOCH) // _MS


def moment(ms: int) -> datetime:
    """The time of a millisecond, in UTC; the last that Python knows for one beyond the year 9999."""
    return _EPOCH + timedelta(milliseconds=min(ms, _MS_LAST))


def moment_or_none(ms: int | None) -> datetime | None:
    """As `moment`; None for a time that is not known, or never."""
    return None if ms is None else moment(ms)


def duration_ms(duration: Duration, what: str) -> int:
    """A length of time in whole milliseconds, rounded up."""
    if isinstance(duration, timedelta):
        ms = -(-(duration // _US) // 1000)
    elif math.isnan(duration) or math.isinf(duration):
        raise invalid(f"{what} must be a length of time, not {duration}")
    else:
        ms = math.ceil(duration * 1000)
    if not 0 <= ms <= _MS_MAX:
        raise invalid(f"{what} must be from 0 to 2**63 - 1 milliseconds, not {ms}")
    return ms
