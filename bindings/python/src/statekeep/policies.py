"""Retention policies as Python functions.

A function runs on a thread of the library's own while `cleanup` waits without the GIL, so it can never
wait for the cleanup that asks it. What it raises fails the evaluation: nothing is deleted, and the
`cleanup` of this program raises it. At its end the interpreter takes every policy away, and waits for those
that run.
"""

from __future__ import annotations

import atexit
import json
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Union

from . import errors
from ._ffi import call, ffi, lib, name as as_name, number, utf8
from ._time import moment

if TYPE_CHECKING:
    from .state import State

_KINDS = {
    lib.STATEKEEP_BACKUP_FULL: "full",
    lib.STATEKEEP_BACKUP_INCREMENTAL: "incremental",
    lib.STATEKEEP_BACKUP_SYNTHETIC: "synthetic",
}

#: How many exceptions of a policy are kept for the cleanups that have not ended yet.
_RAISED_MAX = 8
#: More of an exception's text is not told to the library, which cuts it at 1,024 bytes.
_TEXT_BYTES_MAX = 1000


@dataclass(frozen=True)
class PolicyBackup:
    """One backup as a policy sees it. `kind` is `"full"`, `"incremental"` or `"synthetic"`, `parent` the id
    of the backup that it was made upon."""

    id: str
    series: str
    label: str
    tags: tuple[str, ...]
    kind: str
    created: datetime
    parent: str | None
    pin: bool
    verified: bool
    in_use: bool
    safety: bool
    sequence: int
    records: int
    raw_bytes: int
    stored_bytes: int
    restores: int


@dataclass(frozen=True)
class PolicyContext:
    """The circumstances of an evaluation. `now` is the only clock to use; `options` are those beside the
    policy's name."""

    now: datetime
    storage_bytes: int
    storage_bytes_max: int | None
    time_zone: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Keep:
    """The backup stays; `reason` is shown to people."""

    reason: str = ""


@dataclass(frozen=True)
class Forget:
    """The backup may go; of those that go lower `priority` goes first."""

    reason: str = ""
    priority: int = 0


#: What a policy says of a backup; `None` is no opinion.
Verdict = Union[Keep, Forget, None]

#: A policy: the backups of one series, oldest first, and the circumstances; one verdict a backup, in their
#: order.
Policy = Callable[[Sequence[PolicyBackup], PolicyContext], Iterable[Verdict]]


@dataclass
class _Registered:
    """What the library's `user_data` stands for; it lives until the library says that it is done with it."""

    name: str
    function: Policy
    state: weakref.ref[State]
    raised: deque[tuple[str, BaseException]] = field(default_factory=lambda: deque(maxlen=_RAISED_MAX))

    def answer(self, context: Any) -> None:
        """Asks the function and votes as it says."""
        try:
            backups = _backups(context)
            verdicts = list(self.function(backups, _circumstances(context)))
            if len(verdicts) != len(backups):
                raise ValueError(
                    f"policy {self.name} answered {len(verdicts)} verdicts on {len(backups)} backups; "
                    "it answers one on each, and None for no opinion"
                )
            for place, verdict in enumerate(verdicts):
                _vote(context, place, verdict)
        except BaseException as error:  # Also SystemExit, which must not look like no opinion.
            text = _cut(f"{type(error).__name__}: {error}")
            self.raised.append((f"policy {self.name} failed: {text}", error))
            _fail(context, text)


_lock = threading.Condition()
_registered: dict[int, tuple[_Registered, Any]] = {}
_running = 0
_exiting = False


def register(state: State, name: str, function: Policy) -> None:
    """Registers a function as the policy `name`."""
    if not callable(function):
        raise TypeError(f"a policy must be callable, not {type(function).__name__}")
    registered = _Registered(name, function, weakref.ref(state))
    user_data = ffi.new_handle(registered)
    raw = utf8(name, "policy name")
    text = ffi.from_buffer(raw)
    given = ffi.new(
        "statekeep_policy *",
        {
            "struct_size": ffi.sizeof("statekeep_policy"),
            "name": ffi.cast("const char *", text),
            "name_len": len(raw),
            "evaluate": lib.statekeep_python_evaluate,
            "user_data": user_data,
            "destroy": lib.statekeep_python_destroy,
        },
    )
    pointer = state.handle
    with _lock:
        _registered[_key(user_data)] = registered, user_data
    # From here on the library ends it, also when it refuses it.
    call(lib.statekeep_policy_register, pointer, given)


def unregister(state: State, name: str) -> None:
    """Removes the policy `name`, when no call of it is running."""
    call(lib.statekeep_policy_remove, state.handle, *as_name(name, "policy name"))


def reraise(failure: str | None) -> None:
    """Raises the exception behind the failure of a cleanup, if a Python policy raised one."""
    if failure is None:
        return
    with _lock:
        known = [registered for registered, _ in _registered.values()]
    for registered in known:
        for kept in list(registered.raised):
            if kept[0] == failure:
                registered.raised.remove(kept)
                raise kept[1]


@ffi.def_extern(name="statekeep_python_evaluate")  # type: ignore[untyped-decorator]
def _evaluate(user_data: Any, context: Any) -> None:
    global _running
    with _lock:
        runs = not _exiting
        _running += runs
    if not runs:
        _fail(context, "the Python interpreter is at its end")
        return
    try:
        registered: _Registered = ffi.from_handle(user_data)
        registered.answer(context)
    finally:
        with _lock:
            _running -= 1
            _lock.notify_all()


@ffi.def_extern(name="statekeep_python_destroy")  # type: ignore[untyped-decorator]
def _destroy(user_data: Any) -> None:
    with _lock:
        _registered.pop(_key(user_data), None)


def _stop() -> None:
    """Lets no policy run any more, and waits for those that do."""
    global _exiting
    with _lock:
        _exiting = True
        known = [registered for registered, _ in _registered.values()]
    for registered in known:
        state = registered.state()
        if state is None or state.closed:
            continue
        try:
            unregister(state, registered.name)
        except errors.Error:
            pass  # Somebody else was faster.
    with _lock:
        _lock.wait_for(lambda: _running == 0)


# Before other threads are joined, which a policy may use; `atexit` comes after.
getattr(threading, "_register_atexit", atexit.register)(_stop)


def _key(user_data: Any) -> int:
    return int(ffi.cast("uintptr_t", user_data))


def _text(pointer: Any, size: int) -> str:
    return bytes(ffi.buffer(pointer, size)).decode() if size else ""


def _cut(text: str) -> str:
    raw = text.encode(errors="replace")
    return raw[:_TEXT_BYTES_MAX].decode(errors="ignore") if len(raw) > _TEXT_BYTES_MAX else raw.decode()


def _fail(context: Any, text: str) -> None:
    raw = text.encode()
    lib.statekeep_policy_call_set_error(context, raw, len(raw), ffi.NULL)


def _vote(context: Any, place: int, verdict: Verdict) -> None:
    if verdict is None:
        return
    if isinstance(verdict, Keep):
        kind, priority = lib.STATEKEEP_VERDICT_KEEP, 0
    elif isinstance(verdict, Forget):
        kind, priority = lib.STATEKEEP_VERDICT_FORGET, verdict.priority
    else:
        raise TypeError(
            f"a verdict is Keep(...), Forget(...) or None, not {type(verdict).__name__}"
        )
    raw = _cut(verdict.reason).encode()
    call(lib.statekeep_policy_call_vote, context, place, kind, priority, raw, len(raw))


def _backups(context: Any) -> list[PolicyBackup]:
    row = ffi.new("statekeep_policy_backup *")
    backups: list[PolicyBackup] = []
    for place in range(number("size_t", lib.statekeep_policy_call_count, context)):
        row.struct_size = ffi.sizeof("statekeep_policy_backup")
        call(lib.statekeep_policy_call_backup, context, place, row)
        backups.append(
            PolicyBackup(
                id=_text(row.id, row.id_len),
                series=_text(row.series, row.series_len),
                label=_text(row.label, row.label_len),
                tags=tuple(_tag(context, place, tag) for tag in range(row.tags_len)),
                kind=_KINDS.get(row.kind, "full"),
                created=moment(row.created_unix_ms),
                parent=None if row.parent < 0 else backups[row.parent].id,
                pin=bool(row.flags & lib.STATEKEEP_BACKUP_PINNED),
                verified=bool(row.flags & lib.STATEKEEP_BACKUP_VERIFIED),
                in_use=bool(row.flags & lib.STATEKEEP_BACKUP_IN_USE),
                safety=bool(row.flags & lib.STATEKEEP_BACKUP_SAFETY),
                sequence=row.sequence,
                records=row.records,
                raw_bytes=row.raw_bytes,
                stored_bytes=row.stored_bytes,
                restores=row.restores,
            )
        )
    return backups


def _tag(context: Any, place: int, tag: int) -> str:
    text, size = ffi.new("const char **"), ffi.new("size_t *")
    call(lib.statekeep_policy_call_tag, context, place, tag, text, size)
    return _text(text[0], size[0])


def _circumstances(context: Any) -> PolicyContext:
    row = ffi.new("statekeep_policy_context *")
    row.struct_size = ffi.sizeof("statekeep_policy_context")
    call(lib.statekeep_policy_call_context, context, row)
    limit = int(row.storage_bytes_max)
    return PolicyContext(
        now=moment(row.now_unix_ms),
        storage_bytes=row.storage_bytes,
        storage_bytes_max=None if limit == (1 << 64) - 1 else limit,
        time_zone=_text(row.time_zone, row.time_zone_len),
        options=json.loads(_text(row.options, row.options_len)),
    )
