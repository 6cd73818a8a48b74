"""What is known of a record beside its value, and how values stand in the library's JSON."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ._time import moment, moment_or_none


@dataclass(frozen=True)
class Record:
    """The facts of one stored value. `sequence` is the commit that wrote it: its version."""

    kind: str
    bytes: int
    cls: str
    sequence: int
    created: datetime
    changed: datetime
    expires: datetime | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Record:
        """From the library's JSON."""
        return cls(
            kind=row["kind"],
            bytes=row["bytes"],
            cls=row["class"],
            sequence=row["sequence"],
            created=moment(row["created_unix_ms"]),
            changed=moment(row["changed_unix_ms"]),
            expires=moment_or_none(row["expires_unix_ms"]),
        )


def value_of(row: dict[str, Any] | None) -> Any:
    """The value in a row: a document under `value`, raw bytes under `base64`; None without a row."""
    if row is None:
        return None
    return b64decode(row["base64"]) if "base64" in row else row["value"]


def record_of(row: dict[str, Any] | None) -> Record | None:
    """The facts in a row; None without a row."""
    return None if row is None else Record.of(row)
