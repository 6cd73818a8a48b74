"""Waiting in slices without the GIL, between which Ctrl-C is heard, and the end of the interpreter."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - its end of the interpreter comes after ours.
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from ._ffi import check, lib, new_err
from ._time import Duration, duration_ms

#: How long a wait goes on before Python looks around.
SLICE_MS = 100

_exiting = threading.Event()
# Before threads are joined, as those wait for what will not come; `atexit` comes after.
getattr(threading, "_register_atexit", atexit.register)(_exiting.set)


def wait(
    look: Callable[[int, Any], int],
    timeout: Duration | None,
    stop: threading.Event | None = None,
) -> bool:
    """Calls `look` with milliseconds to wait and room for an error, until it answers something else than
    TIMEOUT; False when it did not within `timeout` seconds, when `stop` was set, or when the interpreter
    ends."""
    left_ms = math.inf if timeout is None else duration_ms(timeout, "timeout")
    until, err = time.monotonic() * 1000 + left_ms, new_err()
    while True:
        status = look(max(0, math.ceil(min(left_ms, SLICE_MS))), err)
        if status != lib.STATEKEEP_STATUS_TIMEOUT:
            check(status, err)
            return True
        left_ms = until - time.monotonic() * 1000
        if left_ms <= 0 or _exiting.is_set() or (stop is not None and stop.is_set()):
            return False
