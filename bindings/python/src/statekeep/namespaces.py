"""The backend of a living state: changed while clients read and write, and changed back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ._ffi import call, document, ffi, handle, lib, name, options as _options, unsigned
from ._owned import Owned
from ._time import moment
from .operation import ProgressCallback, finish


@dataclass(frozen=True)
class SwapReport:
    """What a swap did. Both sides had `records` and their `digest` when they were compared; commits
    waited for `pause_us`; `replaced` is the namespace to go back to."""

    from_backend: str
    to_backend: str
    namespace: str
    replaced: str
    records: int
    bytes: int
    digest: str
    sequence: int
    pause_us: int
    catch_up_commits: int

    @classmethod
    def of(cls, row: dict[str, Any]) -> SwapReport:
        """From the library's JSON."""
        fields = list(cls.__dataclass_fields__)[2:]
        ends = {"from_backend": row["from"], "to_backend": row["to"]}
        return cls(**ends, **{field: row[field] for field in fields})


@dataclass(frozen=True)
class Namespace:
    """One generation of a state's data, made by an opening, a restore or a swap."""

    id: str
    backend: str
    created: datetime
    is_current: bool
    is_read: bool
    bytes: int

    @classmethod
    def of(cls, row: dict[str, Any]) -> Namespace:
        """From the library's JSON."""
        return cls(
            id=row["namespace"],
            backend=row["backend"],
            created=moment(row["created_unix_ms"]),
            is_current=row["is_current"],
            is_read=row["is_read"],
            bytes=row["bytes"],
        )


class Namespaces(Owned):
    """Swaps the backend and goes back."""

    def swap_backend(
        self,
        backend: str,
        options: Mapping[str, Any] | None = None,
        *,
        progress: ProgressCallback | None = None,
    ) -> SwapReport:
        """Moves the whole state to another backend, or anew to the one it has, while clients go on;
        every handle, snapshot and watch stays good.

        `options` are settings of the backend itself. An exception on the way, as from `progress`,
        leaves the state as it was. Open the state with the backend in the configuration from then on.
        """
        raw, asked = name(backend, "backend"), _options(options or {})
        op = handle("statekeep_op", lib.statekeep_swap_start, self.handle, *raw, *asked)
        return SwapReport.of(finish(op, progress))

    def namespaces(self) -> list[Namespace]:
        """Every namespace of the state, oldest first."""
        return [Namespace.of(row) for row in document(lib.statekeep_namespace_list_json, self.handle)]

    def undo(self, namespace: str | Namespace, *, commits_lost_max: int = 0) -> int:
        """Goes back to a namespace that a restore or swap replaced, as it was then, and returns the
        sequence; `Conflict` when more commits than `commits_lost_max` would be lost."""
        asked = _options({"commits_lost_max": unsigned(commits_lost_max, "commits_lost_max")})
        sequence = ffi.new("uint64_t *")
        call(lib.statekeep_namespace_undo, self.handle, *_id(namespace), *asked, sequence)
        return int(sequence[0])

    def release_namespace(self, namespace: str | Namespace) -> None:
        """Removes a namespace that is not in use, for good."""
        call(lib.statekeep_namespace_release, self.handle, *_id(namespace))


def _id(namespace: str | Namespace) -> tuple[bytes, int]:
    return name(namespace.id if isinstance(namespace, Namespace) else namespace, "namespace")
