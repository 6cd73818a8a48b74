"""Statekeep: durable state for agents, workflows, sessions and tenants.

    with statekeep.open("state") as state:
        user = state.scope("user:42")
        user["profile"] = {"name": "Ada"}
        backup = state.backups.create(label="before the agent runs")
        state.backups.restore(backup)

A process has one manager per state directory: C code in the same process that opens the same path
works on the same state.
"""

from __future__ import annotations

from ._ffi import ffi as _ffi, lib as _lib
from .backups import Backup, Backups, RestoreReport, VerifyReport
from .batch import Batch
from .errors import (
    AlreadyExists,
    Busy,
    Cancelled,
    Closed,
    Compacted,
    Conflict,
    Corrupt,
    Error,
    Forked,
    Incompatible,
    Indeterminate,
    InvalidArgument,
    NoSpace,
    NotFound,
    OutOfMemory,
    Panic,
    PermissionDenied,
    PluginError,
    Poisoned,
    ReadOnly,
    Reentrant,
    StorageError,
    Timeout,
    TooLarge,
    Unavailable,
    Unsupported,
    Vetoed,
)
from .operation import Progress
from .plugins import Plugin, Plugins
from .scope import Scope
from .state import State, open

__version__ = "0.1.0"

__all__ = [
    "AlreadyExists",
    "Backup",
    "Backups",
    "Batch",
    "Busy",
    "Cancelled",
    "Closed",
    "Compacted",
    "Conflict",
    "Corrupt",
    "Error",
    "Forked",
    "Incompatible",
    "Indeterminate",
    "InvalidArgument",
    "NoSpace",
    "NotFound",
    "OutOfMemory",
    "Panic",
    "PermissionDenied",
    "Plugin",
    "PluginError",
    "Plugins",
    "Poisoned",
    "Progress",
    "ReadOnly",
    "Reentrant",
    "RestoreReport",
    "Scope",
    "State",
    "StorageError",
    "Timeout",
    "TooLarge",
    "Unavailable",
    "Unsupported",
    "VerifyReport",
    "Vetoed",
    "library_version",
    "open",
]


def library_version() -> str:
    """The version of the libstatekeep that this process uses."""
    return bytes(_ffi.string(_lib.statekeep_version())).decode()
