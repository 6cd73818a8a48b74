"""The plugins of a state."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._ffi import document, lib, name

if TYPE_CHECKING:
    from .state import State


@dataclass(frozen=True)
class Plugin:
    """What a plugin says of itself, and how it came in."""

    id: str
    version: str
    license: str
    description: str
    kinds: list[str]
    door: str
    path: str | None
    sha256: str | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Plugin:
        """From a row of `statekeep_plugin_list_json`."""
        return cls(
            id=row["id"],
            version=row["version"],
            license=row["license"],
            description=row["description"],
            kinds=list(row["kinds"]),
            door=row["door"],
            path=row.get("path"),
            sha256=row.get("sha256"),
        )


class Plugins:
    """Load and list plugins."""

    def __init__(self, state: State) -> None:
        self._state = state

    def list(self) -> list[Plugin]:
        """Built-in and loaded plugins."""
        return [Plugin.of(row) for row in document(lib.statekeep_plugin_list_json, self._state.handle)]

    def load(self, path: str | os.PathLike[str]) -> Plugin:
        """Checks and loads a plugin library; it stays loaded for the life of the process."""
        raw = name(os.fspath(path), "path")
        return Plugin.of(document(lib.statekeep_plugin_load, self._state.handle, *raw))
