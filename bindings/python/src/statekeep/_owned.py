"""What holds a C handle: it is closed once, by whoever comes first."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from . import errors

Self = TypeVar("Self", bound="Owned")


class Owned:
    """A C handle that `close()` ends, or the end of a `with` block, or the last reference to it."""

    _what: ClassVar[str]

    def __init__(self, pointer: Any, close: Any, *rest: Any) -> None:
        self._pointer = pointer
        self._finalizer = weakref.finalize(self, close, pointer, *rest)

    @property
    def handle(self) -> Any:
        """The C handle; raises once it is closed."""
        if not self._finalizer.alive:
            raise errors.Closed(f"the {self._what} is closed; open another", code="CLOSED", status=-10)
        return self._pointer

    def close(self) -> None:
        """Closes it. May be repeated, and may come from any thread."""
        self._finalizer()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return not self._finalizer.alive

    def __enter__(self: Self) -> Self:
        self.handle
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
