"""Values: what a Python program hands over and gets back.

`bytes` (and `bytearray`, `memoryview`) are stored as they are; everything else is stored as JSON.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias, Union

from ._ffi import BYTES, JSON, invalid

Json: TypeAlias = Union[None, bool, int, float, str, list["Json"], dict[str, "Json"]]
Value: TypeAlias = Union[Json, bytes]


def encode(value: Any) -> tuple[int, bytes]:
    """The kind and bytes of a value."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return BYTES, bytes(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return JSON, text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(
            f"the value cannot be stored as JSON: {error}; pass bytes to store it raw"
        ) from error


def decode(kind: int, data: bytes) -> Any:
    """The value of a kind and bytes."""
    return json.loads(data) if kind == JSON else data
