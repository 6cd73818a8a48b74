"""A state: the handle of the one StateManager that this process has for a directory."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import errors
from ._ffi import call, document, ffi, found, handle, lib, name, number, place, text
from ._options import Durability, SetOptions, durability_number, set_options
from ._reader import Reads, Writer
from ._values import encode
from .atomic import Atomics
from .backups import Backups
from .batch import Batch
from .exchange import Exchange
from .monitor import Monitoring
from .namespaces import Namespaces
from .past import Past
from .plugins import Plugins
from .query import Queries
from .retention import Retention
from .scope import Scope
from .transaction import Transactions
from .upkeep import Upkeep
from .watch import Watches

if TYPE_CHECKING:
    from typing_extensions import Unpack


class State(
    Writer, Atomics, Transactions, Past, Watches, Queries, Upkeep, Namespaces, Exchange, Monitoring
):
    """Durable state, shared with every other language in the process that opened the same path.

    Values are anything JSON can say, or `bytes`. Use it as a context manager, or call `close()`.
    All methods may be called from any thread; they release the GIL.
    """

    _what = "state"
    _reads = Reads(
        lib.statekeep_get, lib.statekeep_exists, lib.statekeep_record_json, lib.statekeep_scan_open
    )

    def __init__(self, pointer: Any, maker: State | None = None) -> None:
        # Only for a state that nobody closed: what its closing says, nobody hears.
        super().__init__(pointer, lib.statekeep_manager_close, ffi.NULL)
        self._maker = maker  # A tenant keeps the state alive that it was made from.

    def close(self) -> None:
        """Closes this handle; the manager flushes and ends with the last one in the process.

        Raises when that flush failed: relaxed commits may be lost then. May be repeated. `Reentrant`, and it
        stays open, inside a retention policy.
        """
        if self._finalizer.detach() is None:
            return
        try:
            call(lib.statekeep_manager_close, self._pointer)
        except errors.Reentrant:
            self._finalizer = weakref.finalize(
                self, lib.statekeep_manager_close, self._pointer, ffi.NULL
            )
            raise

    def __repr__(self) -> str:
        return "<statekeep.State closed>" if self.closed else f"<statekeep.State {self.info['path']!r}>"

    # Where things are.

    @property
    def info(self) -> dict[str, Any]:
        """Path, backend, tenant, head sequence and so on."""
        info: dict[str, Any] = document(lib.statekeep_manager_info_json, self.handle)
        return info

    def metrics(self) -> str:
        """The metrics of the state, its backups and its plugins now, as OpenMetrics text for Prometheus.

        Counters start again at 0 when the state is opened. Refused for a tenant: it concerns all.
        """
        return text(lib.statekeep_metrics_text, self.handle)

    def scope(self, name: str = "global") -> Scope:
        """A scope as a mutable mapping: `state.scope("user:42")["name"] = "Ada"`."""
        return Scope(self, name)

    def scopes(self) -> list[str]:
        """The scopes that hold keys, in order."""
        scopes: list[str] = document(lib.statekeep_scope_list_json, self.handle)
        return scopes

    def tenant(self, tenant: str) -> State:
        """A handle that can only see and build keys of one tenant."""
        raw = name(tenant, "tenant")
        return State(handle("statekeep_manager", lib.statekeep_manager_tenant, self.handle, *raw), self)

    def with_origin(self, *, principal: str = "", correlation_id: str = "") -> State:
        """A handle whose commits say who made them and what they belong to, as `history` and `watch`
        tell."""
        who = *name(principal, "principal"), *name(correlation_id, "correlation_id")
        made = handle("statekeep_manager", lib.statekeep_manager_with_origin, self.handle, *who)
        return State(made, self)

    # Single keys.

    def set(self, scope: str, key: str, value: Any, **how: Unpack[SetOptions]) -> int:
        """Stores a value and returns the sequence of the commit; durable when it returns.

        `ttl` (a `timedelta` or seconds) or `expires` (a `datetime`) end it: from then on the key is not
        there, everywhere at once. `cls` is what it is: `"critical"`, `"standard"`, `"bulk"`,
        `"archive"`, or `"ephemeral"` for memory only.
        """
        kind, data = encode(value)
        sequence: int = number(
            "uint64_t", lib.statekeep_set_with, self.handle, *place(scope, key),
            kind, data, len(data), set_options(**how),
        )
        return sequence

    def delete(self, scope: str, key: str, *, durability: Durability | None = None) -> bool:
        """Removes a key; answers whether it was there."""
        wanted = durability_number(durability)
        return found(lib.statekeep_delete, self.handle, *place(scope, key), wanted, ffi.NULL)

    def _clear(self, scope: str) -> None:
        call(lib.statekeep_scope_clear, self.handle, *name(scope, "scope"), ffi.NULL)

    # Many keys at once.

    def batch(self) -> Batch:
        """Changes that are committed together at the end of a `with` block, or not at all."""
        return Batch(self)

    def copy_scope(self, source: str, target: str) -> int:
        """Copies every key of a scope into another, as one commit; returns how many."""
        return self._transfer(lib.statekeep_scope_copy, source, target)

    def move_scope(self, source: str, target: str) -> int:
        """Moves every key of a scope into another, as one commit; returns how many."""
        return self._transfer(lib.statekeep_scope_move, source, target)

    def _transfer(self, transfer: Any, source: str, target: str) -> int:
        ends = *name(source, "scope"), *name(target, "scope")
        return int(number("uint64_t", transfer, self.handle, *ends))

    def flush(self) -> None:
        """Returns when every acknowledged commit is on stable storage."""
        call(lib.statekeep_manager_flush, self.handle)

    @property
    def backups(self) -> Backups:
        """Create, list, verify and restore backups."""
        return Backups(self)

    @property
    def retention(self) -> Retention:
        """Which backups stay: what is in force, trials and simulations."""
        return Retention(self)

    @property
    def plugins(self) -> Plugins:
        """The plugins that this state knows."""
        return Plugins(self)


def open(  # noqa: A001 - the conventional name
    path: str | os.PathLike[str] | None = None,
    *,
    backend: str | None = None,
    config: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> State:
    """Opens the state at `path`, created when absent, and shares it with the whole process.

    `config` names a `statekeep.toml`; `settings` sets single keys such as
    `{"backup.codec": "lz4"}` over it, and `path` and `backend` go over both.
    """
    made = handle("statekeep_config", lib.statekeep_config_new)
    chosen: dict[str, Any] = dict(settings or {})
    if path is not None:
        chosen["path"] = _path(path, "path")
    if backend is not None:
        chosen["backend"] = backend
    try:
        if config is not None:
            call(lib.statekeep_config_load_file, made, *name(_path(config, "config"), "config"))
        for key, value in chosen.items():
            text = value if isinstance(value, str) else json.dumps(value)
            call(lib.statekeep_config_set, made, *name(key, "setting"), *name(text, key))
        return State(handle("statekeep_manager", lib.statekeep_manager_open, made))
    finally:
        lib.statekeep_config_free(made)


def _path(path: str | os.PathLike[str], what: str) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str or PathLike[str], not {type(path).__name__}")
    return text
