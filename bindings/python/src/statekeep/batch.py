"""Changes of several keys as one commit."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import errors
from ._ffi import call, ffi, handle, lib, number, place
from ._options import Durability, SetOptions, durability_number, set_options
from ._values import encode

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .state import State


class Batch:
    """Collects changes; all of them take place at `commit()`, or none.

    As a context manager it commits at the end of the block, and does nothing when the block raises.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        made = handle("statekeep_batch", lib.statekeep_batch_new)
        self._batch = ffi.gc(made, lib.statekeep_batch_free)
        self._open = True

    def set(self, scope: str, key: str, value: Any, **how: Unpack[SetOptions]) -> Batch:
        """Stores a value; of several changes to a key the last one counts. Of several durabilities the
        safest holds."""
        kind, data = encode(value)
        call(
            lib.statekeep_batch_set_with, self._usable(), *place(scope, key),
            kind, data, len(data), set_options(**how),
        )
        return self

    def delete(self, scope: str, key: str) -> Batch:
        """Removes a key; a missing one is no error."""
        call(lib.statekeep_batch_delete, self._usable(), *place(scope, key))
        return self

    def commit(self, *, durability: Durability | None = None) -> int:
        """Commits all changes and returns the sequence; the batch is used up."""
        batch, wanted = self._usable(), durability_number(durability)
        self._open = False
        try:
            commit = lib.statekeep_batch_commit
            return int(number("uint64_t", commit, batch, self._state.handle, wanted))
        finally:
            ffi.release(self._batch)

    def _usable(self) -> Any:
        if not self._open:
            raise errors.Closed("the batch was committed; make a new one", code="CLOSED", status=-10)
        return self._batch

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._open:
            self.commit()
        elif self._open:
            self._open = False
            ffi.release(self._batch)
