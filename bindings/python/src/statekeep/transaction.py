"""Transactions: reads and writes that take place at one instant, or not at all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import errors
from ._ffi import call, handle, lib, number, options, place
from ._options import Durability, SetOptions, set_options
from ._owned import Owned
from ._reader import Reads, Writer
from ._values import encode
from .scope import Scope

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")

#: How often `transact` tries unless the call says otherwise.
ATTEMPTS_MAX = 100

_PAUSE_FIRST_S = 0.001
_PAUSE_MAX_S = 0.1


class Transaction(Writer):
    """Reads see the state as it was when the transaction began, and its own changes. At the commit
    everything that was read, single keys and scans, must still hold; else `Conflict` is raised, nothing
    is changed, and a new transaction can try again.

    As a context manager it commits at the end of the block, and changes nothing when the block raises.
    One thread at a time.
    """

    _what = "transaction"
    _reads = Reads(
        lib.statekeep_txn_get,
        lib.statekeep_txn_exists,
        lib.statekeep_txn_record_json,
        lib.statekeep_txn_scan_open,
    )

    def __init__(self, pointer: Any, state: Owned) -> None:
        super().__init__(pointer, lib.statekeep_txn_close)
        self._state = state  # Keeps it open.
        #: The commit that it made; None until then.
        self.sequence: int | None = None

    def set(self, scope: str, key: str, value: Any, **how: Unpack[SetOptions]) -> None:
        """Stores a value at the commit; this transaction's reads see it at once."""
        kind, data = encode(value)
        call(
            lib.statekeep_txn_set_with, self.handle, *place(scope, key),
            kind, data, len(data), set_options(**how),
        )

    def delete(self, scope: str, key: str) -> bool:
        """Removes a key at the commit; answers whether it was there, which it thereby reads."""
        there = self.exists(scope, key)
        if there:
            call(lib.statekeep_txn_delete, self.handle, *place(scope, key))
        return there

    def scope(self, name: str = "global") -> Scope:
        """A scope as a mutable mapping."""
        return Scope(self, name)

    def _clear(self, scope: str) -> None:
        for key in list(self.scope(scope)):
            self.delete(scope, key)

    def savepoint(self) -> Savepoint:
        """A point to come back to: `with txn.savepoint(): ...` takes back what a block changed that
        raises, and the transaction goes on."""
        return Savepoint(self, number("uint64_t", lib.statekeep_txn_savepoint, self.handle))

    def commit(self) -> int:
        """Makes all changes as one commit, ends the transaction and returns the sequence."""
        try:
            self.sequence = int(number("uint64_t", lib.statekeep_txn_commit, self.handle))
        finally:
            self.close()
        return self.sequence

    def rollback(self) -> None:
        """Ends the transaction; nothing is changed. May be repeated."""
        self.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and not self.closed:
            self.commit()
        else:
            self.close()


class Savepoint:
    """A point in a transaction. The end of a `with` block keeps what it changed; an exception takes
    that back and goes on its way."""

    def __init__(self, transaction: Transaction, number: int) -> None:
        self._transaction = transaction
        self._number = number

    def rollback(self) -> None:
        """Takes back every change since; can be used again."""
        call(lib.statekeep_txn_rollback_to, self._transaction.handle, self._number)

    def __enter__(self) -> Savepoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and not self._transaction.closed:
            self.rollback()


class Transactions(Owned):
    """Begins transactions on a state."""

    def transaction(self, *, durability: Durability | None = None) -> Transaction:
        """Begins a transaction on the state as it is: `with state.transaction() as txn: ...`."""
        asked = options({"durability": durability})
        return Transaction(handle("statekeep_txn", lib.statekeep_txn_begin, self.handle, *asked), self)

    def transact(
        self,
        function: Callable[[Transaction], T],
        *,
        durability: Durability | None = None,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> T:
        """Runs a function in a transaction, commits, and returns what the function returned.

        After a `Conflict` it is run again on the state as it is then, after a short random wait, at
        most `attempts_max` times in all: it should do nothing but read and change through its
        transaction. Any other exception rolls back and is raised.
        """
        attempt = 1
        while True:
            try:
                with self.transaction(durability=durability) as transaction:
                    result = function(transaction)
                return result
            except errors.Conflict:
                if attempt >= attempts_max:
                    raise
            time.sleep(pause_s(attempt))
            attempt += 1


def pause_s(attempt: int) -> float:
    """How long to wait after so many attempts: a random part of a span that doubles, so that those
    who met do not meet again."""
    return random.uniform(0, min(_PAUSE_FIRST_S * 2.0 ** min(attempt, 32), _PAUSE_MAX_S))
