"""Exceptions: one base, true subclasses that are also the built-ins a caller expects."""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """Any failure of Statekeep.

    `code` is the name of the status (`"CONFLICT"`), `status` its number, `detail` what the library
    tells beside the message, and `retryable` whether the same call can succeed when made again.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "INTERNAL",
        status: int = -27,
        retryable: bool = False,
        detail: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.retryable = retryable
        self.detail = detail or {}

    def __str__(self) -> str:
        return self.message


class NotFound(Error, KeyError):
    """The key, backup or plugin is not there."""


class InvalidArgument(Error, ValueError):
    """A name, value or option is malformed or out of range."""


class Unsupported(Error, NotImplementedError):
    """Not built, or not offered by the plugin."""


class StorageError(Error, OSError):
    """The operating system or the storage engine reported an I/O error."""


class Corrupt(Error):
    """Stored bytes are not what was written."""


class Conflict(Error):
    """A condition did not hold, or the state is open with another configuration. Retryable."""


class Indeterminate(Error):
    """Whether the commit took place is unknown."""


class TooLarge(Error, ValueError):
    """A named limit was exceeded."""


class Unavailable(Error, ConnectionError):
    """The service is away for the moment. Retryable."""


class Busy(Error, BlockingIOError):
    """Another process or operation holds it. Retryable."""


class Closed(Error, ValueError):
    """The state was closed."""


class Poisoned(Error):
    """A sync failed earlier; no more writes until the state is opened again."""


class Panic(Error, RuntimeError):
    """A panic was stopped at the library's boundary."""


class PermissionDenied(Error, PermissionError):
    """Access was refused."""


class Vetoed(Error):
    """A hook refused the change."""


class Reentrant(Error, RuntimeError):
    """A callback wrote into the state that it guards."""


class Forked(Error, RuntimeError):
    """The process forked after the state was opened; open it again in the child."""


class Compacted(Error, LookupError):
    """The past that was asked for has been trimmed."""


class Cancelled(Error):
    """The operation was cancelled."""


class Timeout(Error, TimeoutError):
    """A time limit ran out. Retryable."""


class AlreadyExists(Error, FileExistsError):
    """It is there already."""


class NoSpace(StorageError):
    """The disk or a quota is full; nothing was applied."""


class ReadOnly(Error):
    """The target can only be read."""


class Incompatible(Error):
    """A format, ABI or version that this build does not read."""


class PluginError(Error):
    """A plugin is missing, refused or misbehaved."""


class OutOfMemory(Error, MemoryError):
    """Memory could not be had."""


BY_CODE: dict[str, type[Error]] = {
    "NOT_FOUND": NotFound,
    "INVALID_ARGUMENT": InvalidArgument,
    "UNSUPPORTED": Unsupported,
    "IO": StorageError,
    "CORRUPT": Corrupt,
    "CONFLICT": Conflict,
    "INDETERMINATE": Indeterminate,
    "TOO_LARGE": TooLarge,
    "UNAVAILABLE": Unavailable,
    "BUSY": Busy,
    "CLOSED": Closed,
    "POISONED": Poisoned,
    "PANIC": Panic,
    "PERMISSION_DENIED": PermissionDenied,
    "VETOED": Vetoed,
    "REENTRANT": Reentrant,
    "FORKED": Forked,
    "COMPACTED": Compacted,
    "CANCELLED": Cancelled,
    "PENDING": Timeout,
    "TIMEOUT": Timeout,
    "ALREADY_EXISTS": AlreadyExists,
    "NO_SPACE": NoSpace,
    "READ_ONLY": ReadOnly,
    "INCOMPATIBLE": Incompatible,
    "PLUGIN": PluginError,
    "OUT_OF_MEMORY": OutOfMemory,
}
