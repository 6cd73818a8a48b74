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
from ._options import NEVER, SetOptions
from .atomic import ABSENT
from .backup_reports import (
    Backup,
    BackupDiff,
    CleanupReport,
    DeletedBackup,
    PruneReport,
    RepositoryKey,
    RepositoryReport,
    RestoreReport,
    Stray,
    Strays,
    VerifyReport,
)
from .backups import Backups
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
from .exchange import ExportReport, ImportReport
from .monitor import Alert, Event, Events, Finding
from .namespaces import Namespace, SwapReport
from .operation import Progress
from .past import Difference, History, Version
from .plugins import Plugin, Plugins
from .policies import Forget, Keep, Policy, PolicyBackup, PolicyContext, Verdict
from .query import Explanation, Index, Row, Rows
from .records import Record
from .retention import (
    Lifeline,
    Retention,
    RetentionInForce,
    RetentionSample,
    RetentionSetting,
    RetentionTrial,
    Simulation,
)
from .scope import Scope, ScopeView
from .snapshot import Snapshot
from .state import State, open
from .transaction import Savepoint, Transaction
from .upkeep import TrimReport, UpkeepStatus
from .watch import Change, Cursor, Watch

__version__ = "0.1.0"

__all__ = [
    "ABSENT",
    "Alert",
    "AlreadyExists",
    "Backup",
    "BackupDiff",
    "Backups",
    "Batch",
    "Busy",
    "Cancelled",
    "Change",
    "CleanupReport",
    "Closed",
    "Compacted",
    "Conflict",
    "Corrupt",
    "Cursor",
    "DeletedBackup",
    "Difference",
    "Error",
    "Event",
    "Events",
    "Explanation",
    "ExportReport",
    "Finding",
    "Forget",
    "Forked",
    "History",
    "ImportReport",
    "Incompatible",
    "Indeterminate",
    "Index",
    "InvalidArgument",
    "Keep",
    "Lifeline",
    "NEVER",
    "Namespace",
    "NoSpace",
    "NotFound",
    "OutOfMemory",
    "Panic",
    "PermissionDenied",
    "Plugin",
    "PluginError",
    "Plugins",
    "Poisoned",
    "Policy",
    "PolicyBackup",
    "PolicyContext",
    "Progress",
    "PruneReport",
    "ReadOnly",
    "Record",
    "Reentrant",
    "RepositoryKey",
    "RepositoryReport",
    "RestoreReport",
    "Retention",
    "RetentionInForce",
    "RetentionSample",
    "RetentionSetting",
    "RetentionTrial",
    "Row",
    "Rows",
    "Savepoint",
    "Scope",
    "ScopeView",
    "SetOptions",
    "Simulation",
    "Snapshot",
    "State",
    "StorageError",
    "Stray",
    "Strays",
    "SwapReport",
    "Timeout",
    "TooLarge",
    "Transaction",
    "TrimReport",
    "Unavailable",
    "Unsupported",
    "UpkeepStatus",
    "VerifyReport",
    "Verdict",
    "Version",
    "Vetoed",
    "Watch",
    "library_version",
    "open",
]


def library_version() -> str:
    """The version of the libstatekeep that this process uses."""
    return bytes(_ffi.string(_lib.statekeep_version())).decode()
