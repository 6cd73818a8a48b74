"""Long work: started in C, waited for here without the GIL, with progress and Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._ffi import call, document, fail, ffi, lib, new_err

_PHASES = {
    lib.STATEKEEP_OP_PHASE_WAITING: "waiting",
    lib.STATEKEEP_OP_PHASE_PREPARING: "preparing",
    lib.STATEKEEP_OP_PHASE_COPYING: "copying",
    lib.STATEKEEP_OP_PHASE_COMMITTING: "committing",
    lib.STATEKEEP_OP_PHASE_DONE: "done",
    lib.STATEKEEP_OP_PHASE_FOLLOWING: "following",
    lib.STATEKEEP_OP_PHASE_VERIFYING: "verifying",
}

#: How often a progress callback is called, in milliseconds.
PROGRESS_INTERVAL_MS = 100


@dataclass(frozen=True)
class Progress:
    """How far an operation is. A total of 0 is not known; `commits_behind` are those that a swap has
    still to take over. `left` is in seconds, like `elapsed`; None when it is not known."""

    phase: str
    records: int
    records_total: int
    bytes_in: int
    bytes_out: int
    bytes_total: int
    commits_behind: int
    done: bool
    elapsed: float
    bytes_per_second: int
    left: float | None


ProgressCallback = Callable[[Progress], None]


def finish(
    op: Any, progress: ProgressCallback | None, limit_rate: int = 0
) -> dict[str, Any]:
    """Waits for an operation and returns its result; an exception on the way cancels it."""
    op = ffi.gc(op, lib.statekeep_op_free)
    err = new_err()
    try:
        if limit_rate:
            call(lib.statekeep_op_limit_rate, op, limit_rate)
        while True:
            status = lib.statekeep_op_wait(op, PROGRESS_INTERVAL_MS, err)
            done = status != lib.STATEKEEP_STATUS_PENDING
            if done and status != 0:
                raise fail(status, err)
            if progress is not None:
                progress(_progress(op, done))
            if done:
                break
        result: dict[str, Any] = document(lib.statekeep_op_result_json, op)
        return result
    except BaseException:
        lib.statekeep_op_cancel(op, ffi.NULL)
        lib.statekeep_op_wait(op, -1, ffi.NULL)
        raise
    finally:
        ffi.release(op)


def _progress(op: Any, done: bool) -> Progress:
    raw = ffi.new("statekeep_progress *")
    raw.struct_size = ffi.sizeof("statekeep_progress")
    call(lib.statekeep_op_progress, op, raw)
    return Progress(
        phase=_PHASES.get(raw.phase, "working"),
        records=raw.records,
        records_total=raw.records_total,
        bytes_in=raw.bytes_in,
        bytes_out=raw.bytes_out,
        bytes_total=raw.bytes_total,
        commits_behind=raw.commits_behind,
        done=done,
        elapsed=raw.elapsed_ms / 1000,
        bytes_per_second=raw.bytes_per_second,
        left=None if raw.left_ms < 0 else raw.left_ms / 1000,
    )
