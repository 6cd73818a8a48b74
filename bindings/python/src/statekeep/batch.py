"""Changes of several keys as one commit."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import errors
from ._ffi import check, ffi, lib, new_err, utf8
from ._values import encode

if TYPE_CHECKING:
    from .state import State


class Batch:
    """Collects changes; all of them take place at `commit()`, or none.

    As a context manager it commits at the end of the block, and does nothing when the block raises.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        err, out = new_err(), ffi.new("statekeep_batch **")
        check(lib.statekeep_batch_new(out, err), err)
        self._batch = ffi.gc(out[0], lib.statekeep_batch_free)
        self._open = True

    def set(self, scope: str, key: str, value: Any) -> Batch:
        """Stores a value; of several changes to a key the last one counts."""
        raw_scope, raw_key = utf8(scope, "scope"), utf8(key, "key")
        kind, data = encode(value)
        err = new_err()
        check(
            lib.statekeep_batch_set(
                self._usable(), raw_scope, len(raw_scope), raw_key, len(raw_key),
                kind, data, len(data), err,
            ),
            err,
        )
        return self

    def delete(self, scope: str, key: str) -> Batch:
        """Removes a key; a missing one is no error."""
        raw_scope, raw_key, err = utf8(scope, "scope"), utf8(key, "key"), new_err()
        check(
            lib.statekeep_batch_delete(
                self._usable(), raw_scope, len(raw_scope), raw_key, len(raw_key), err
            ),
            err,
        )
        return self

    def commit(self) -> int:
        """Commits all changes and returns the sequence; the batch is used up."""
        err, sequence = new_err(), ffi.new("uint64_t *")
        batch = self._usable()
        self._open = False
        try:
            check(
                lib.statekeep_batch_commit(
                    batch, self._state.handle, lib.STATEKEEP_DURABILITY_DEFAULT, sequence, err
                ),
                err,
            )
        finally:
            ffi.release(self._batch)
        return int(sequence[0])

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
