"""How a change is made: what `set` and its kin take beside the value."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final, Literal, TypedDict

from ._ffi import ffi, invalid, lib
from ._time import Duration, duration_ms, unix_ms

#: The `ttl` of a value that stays, whatever the configuration's rules say.
NEVER: Final = math.inf

RecordClass = Literal["standard", "critical", "bulk", "archive", "ephemeral"]
Durability = Literal["sync", "relaxed"]

_CLASSES: dict[str | None, int] = {
    None: lib.STATEKEEP_CLASS_AS_CONFIGURED,
    "standard": lib.STATEKEEP_CLASS_STANDARD,
    "critical": lib.STATEKEEP_CLASS_CRITICAL,
    "bulk": lib.STATEKEEP_CLASS_BULK,
    "archive": lib.STATEKEEP_CLASS_ARCHIVE,
    "ephemeral": lib.STATEKEEP_CLASS_EPHEMERAL,
}

_DURABILITIES: dict[str | None, int] = {
    None: lib.STATEKEEP_DURABILITY_DEFAULT,
    "sync": lib.STATEKEEP_DURABILITY_SYNC,
    "relaxed": lib.STATEKEEP_DURABILITY_RELAXED,
}


class SetOptions(TypedDict, total=False):
    """What may be said of a change; what is not said is as configured."""

    #: The value is gone after this long; `NEVER` for a value that stays.
    ttl: Duration | None
    #: The value is gone from this time on. Not together with `ttl`.
    expires: datetime | None
    #: What the value is: `"critical"`, `"standard"`, `"bulk"`, `"archive"` or `"ephemeral"`.
    cls: RecordClass | None
    #: When the call returns: `"sync"` on stable storage, `"relaxed"` in the operating system's hands.
    durability: Durability | None


def set_options(
    *,
    ttl: Duration | None = None,
    expires: datetime | None = None,
    cls: str | None = None,
    durability: str | None = None,
) -> Any:
    """The `statekeep_set_options` of a call; NULL when nothing is said."""
    if ttl is None and expires is None and cls is None and durability is None:
        return ffi.NULL
    made = ffi.new("statekeep_set_options *")
    made.struct_size = ffi.sizeof("statekeep_set_options")
    made.durability = durability_number(durability)
    if cls not in _CLASSES:
        raise invalid(f"cls must be one of {_words(_CLASSES)}, not {cls!r}")
    made.record_class = _CLASSES[cls]
    if ttl == NEVER:
        made.ttl_ms = lib.STATEKEEP_TTL_NEVER
    elif ttl is not None:
        made.ttl_ms = duration_ms(ttl, "ttl")
        if made.ttl_ms == 0:
            raise invalid("ttl must be longer than 0; delete the key instead")
    if expires is not None:
        made.expires_unix_ms = unix_ms(expires)
    return made


def durability_number(durability: str | None) -> int:
    """The C constant of a durability."""
    if durability not in _DURABILITIES:
        raise invalid(f"durability must be one of {_words(_DURABILITIES)}, not {durability!r}")
    return _DURABILITIES[durability]


def _words(known: dict[str | None, int]) -> str:
    return ", ".join(repr(word) for word in known if word is not None)
