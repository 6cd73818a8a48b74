"""Changes of one key that read and write it at once, so that nobody comes in between."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final, overload

from ._ffi import call, document, ffi, invalid, lib, number, place, unsigned
from ._options import SetOptions, set_options
from ._owned import Owned
from ._values import encode

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Absent(enum.Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


class _Unsaid(enum.Enum):
    UNSAID = "unsaid"


#: In `compare_and_swap`: expected, that the key is not there; as the value, that it shall not be.
ABSENT: Final = Absent.ABSENT

_INT = range(-(1 << 63), 1 << 63)


class Atomics(Owned):
    """Each is one commit. A key that was there keeps its class and expiry, unless the call says
    otherwise."""

    @overload
    def increment(
        self, scope: str, key: str, by: int = 1, **how: Unpack[SetOptions]
    ) -> int: ...

    @overload
    def increment(self, scope: str, key: str, by: float, **how: Unpack[SetOptions]) -> float: ...

    def increment(
        self, scope: str, key: str, by: float = 1, **how: Unpack[SetOptions]
    ) -> float:
        """Adds to the number that a key holds and returns the sum; a missing key counts as 0.

        With a float the key holds a float from then on; with an int the sum of a key that holds a
        float is returned without its fraction.
        """
        options = set_options(**how)
        if isinstance(by, int):
            if by not in _INT:
                raise invalid(f"by must be from -2**63 to 2**63 - 1, not {by}")
            add, kind = lib.statekeep_increment, "int64_t"
        else:
            add, kind = lib.statekeep_increment_f64, "double"
        total: float = number(kind, add, self.handle, *place(scope, key), by, options)
        return total

    def compare_and_swap(
        self,
        scope: str,
        key: str,
        value: Any,
        *,
        expected: Any = _Unsaid.UNSAID,
        version: int | None = None,
        **how: Unpack[SetOptions],
    ) -> int:
        """Stores a value (`ABSENT` deletes) when the key is as it is thought to be, else raises `Conflict`.

        `version` expects the value that the commit of that sequence wrote, `expected` a value, or
        `ABSENT`. Returns the sequence of the commit; the `current_sequence` in the detail of a
        `Conflict` is the version that is there.
        """
        named, change = place(scope, key), (*_valued(value), set_options(**how))
        if (version is None) == (expected is _Unsaid.UNSAID):
            raise invalid("say what is there: either `expected` or `version`")
        if version is not None:
            swap = lib.statekeep_compare_and_swap
            there: tuple[Any, ...] = (unsigned(version, "version"),)
        else:
            swap, there = lib.statekeep_compare_and_swap_value, _valued(expected)
        return int(number("uint64_t", swap, self.handle, *named, *there, *change))

    def set_if_absent(
        self, scope: str, key: str, value: Any, **how: Unpack[SetOptions]
    ) -> int | None:
        """Stores a value unless the key is there; the sequence of the commit, or None if it was."""
        kind, data = encode(value)
        is_set, sequence = ffi.new("uint32_t *"), ffi.new("uint64_t *")
        call(
            lib.statekeep_set_if_absent, self.handle, *place(scope, key),
            kind, data, len(data), set_options(**how), is_set, sequence,
        )
        return int(sequence[0]) if is_set[0] else None

    def merge_patch(self, scope: str, key: str, patch: Any, **how: Unpack[SetOptions]) -> Any:
        """Applies a merge patch (RFC 7396) and returns the document as it is then: members of `patch`
        replace those of the same name, None removes them. A missing key is patched as `{}`."""
        return self._patch(lib.statekeep_merge_patch, scope, key, patch, how)

    def json_patch(
        self, scope: str, key: str, patch: list[dict[str, Any]], **how: Unpack[SetOptions]
    ) -> Any:
        """Applies a JSON Patch (RFC 6902), all of its operations or none, and returns the document as
        it is then. A failed `test` raises `Conflict`."""
        return self._patch(lib.statekeep_json_patch, scope, key, patch, how)

    def _patch(self, apply: Any, scope: str, key: str, patch: Any, how: SetOptions) -> Any:
        kind, data = encode(patch)
        if kind != lib.STATEKEEP_VALUE_JSON:
            raise invalid("a patch is a JSON value, not bytes")
        options = set_options(**how)
        return document(apply, self.handle, *place(scope, key), data, len(data), options)


def _valued(value: Any) -> tuple[int, Any, int]:
    """Kind, pointer and length of a value that may be `ABSENT`."""
    if value is ABSENT:
        return lib.STATEKEEP_VALUE_NONE, ffi.NULL, 0
    kind, data = encode(value)
    return kind, data, len(data)
