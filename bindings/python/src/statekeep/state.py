"""A state: the handle of the one StateManager that this process has for a directory."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from . import errors
from ._ffi import check, fail, ffi, lib, new_err, take, utf8
from ._values import decode, encode
from .backups import Backups
from .batch import Batch
from .plugins import Plugins
from .scope import Scope


class State:
    """Durable state, shared with every other language in the process that opened the same path.

    Values are anything JSON can say, or `bytes`. Use it as a context manager, or call `close()`.
    All methods may be called from any thread; they release the GIL.
    """

    def __init__(self, handle: Any, origin: State | None = None) -> None:
        self._handle = handle
        self._origin = origin  # A tenant keeps the state alive that it was made from.
        # Only for a state that nobody closed: what its closing says, nobody hears.
        self._finalizer = weakref.finalize(self, lib.statekeep_manager_close, handle, ffi.NULL)

    @property
    def handle(self) -> Any:
        """The C handle; raises once the state is closed."""
        if not self._finalizer.alive:
            raise errors.Closed("the state is closed; open it again", code="CLOSED", status=-10)
        return self._handle

    def close(self) -> None:
        """Closes this handle; the manager flushes and ends with the last one in the process.

        Raises when that flush failed: relaxed commits may be lost then. May be repeated.
        """
        if self._finalizer.detach() is not None:
            err = new_err()
            check(lib.statekeep_manager_close(self._handle, err), err)

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return not self._finalizer.alive

    def __enter__(self) -> State:
        self.handle
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<statekeep.State closed>" if self.closed else f"<statekeep.State {self.info['path']!r}>"

    # Where things are.

    @property
    def info(self) -> dict[str, Any]:
        """Path, backend, tenant, head sequence and so on."""
        err, out = new_err(), ffi.new("statekeep_buf *")
        check(lib.statekeep_manager_info_json(self.handle, out, err), err)
        info: dict[str, Any] = json.loads(take(out))
        return info

    def scope(self, name: str = "global") -> Scope:
        """A scope as a mutable mapping: `state.scope("user:42")["name"] = "Ada"`."""
        return Scope(self, name)

    def scopes(self) -> list[str]:
        """The scopes that hold keys, in order."""
        err, out = new_err(), ffi.new("statekeep_buf *")
        check(lib.statekeep_scope_list_json(self.handle, out, err), err)
        scopes: list[str] = json.loads(take(out))
        return scopes

    def tenant(self, name: str) -> State:
        """A handle that can only see and build keys of one tenant."""
        err, out, raw = new_err(), ffi.new("statekeep_manager **"), utf8(name, "tenant")
        check(lib.statekeep_manager_tenant(self.handle, raw, len(raw), out, err), err)
        return State(out[0], self)

    # Single keys.

    def get(self, scope: str, key: str, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        found, value = self._get(scope, key)
        return value if found else default

    def _get(self, scope: str, key: str) -> tuple[bool, Any]:
        raw_scope, raw_key = utf8(scope, "scope"), utf8(key, "key")
        err, out, kind = new_err(), ffi.new("statekeep_buf *"), ffi.new("uint32_t *")
        status = lib.statekeep_get(
            self.handle, raw_scope, len(raw_scope), raw_key, len(raw_key), kind, out, err
        )
        if status == lib.STATEKEEP_STATUS_NOT_FOUND:
            return False, None
        check(status, err)
        return True, decode(kind[0], take(out))

    def set(self, scope: str, key: str, value: Any) -> int:
        """Stores a value and returns the sequence of the commit; durable when it returns."""
        raw_scope, raw_key = utf8(scope, "scope"), utf8(key, "key")
        kind, data = encode(value)
        err, sequence = new_err(), ffi.new("uint64_t *")
        check(
            lib.statekeep_set(
                self.handle, raw_scope, len(raw_scope), raw_key, len(raw_key),
                kind, data, len(data), lib.STATEKEEP_DURABILITY_DEFAULT, sequence, err,
            ),
            err,
        )
        return int(sequence[0])

    def delete(self, scope: str, key: str) -> bool:
        """Removes a key; answers whether it was there."""
        raw_scope, raw_key, err = utf8(scope, "scope"), utf8(key, "key"), new_err()
        status = lib.statekeep_delete(
            self.handle, raw_scope, len(raw_scope), raw_key, len(raw_key),
            lib.STATEKEEP_DURABILITY_DEFAULT, ffi.NULL, err,
        )
        if status == lib.STATEKEEP_STATUS_NOT_FOUND:
            return False
        check(status, err)
        return True

    def exists(self, scope: str, key: str) -> bool:
        """Whether the key is there."""
        raw_scope, raw_key, err = utf8(scope, "scope"), utf8(key, "key"), new_err()
        status = lib.statekeep_exists(
            self.handle, raw_scope, len(raw_scope), raw_key, len(raw_key), err
        )
        if status == lib.STATEKEEP_STATUS_NOT_FOUND:
            return False
        check(status, err)
        return True

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

    def _transfer(self, call: Any, source: str, target: str) -> int:
        one, other = utf8(source, "scope"), utf8(target, "scope")
        err, count = new_err(), ffi.new("uint64_t *")
        check(call(self.handle, one, len(one), other, len(other), count, err), err)
        return int(count[0])

    def flush(self) -> None:
        """Returns when every acknowledged commit is on stable storage."""
        err = new_err()
        check(lib.statekeep_manager_flush(self.handle, err), err)

    @property
    def backups(self) -> Backups:
        """Create, list, verify and restore backups."""
        return Backups(self)

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
    err, made = new_err(), ffi.new("statekeep_config **")
    check(lib.statekeep_config_new(made, err), err)
    chosen: dict[str, Any] = dict(settings or {})
    if path is not None:
        chosen["path"] = _path(path, "path")
    if backend is not None:
        chosen["backend"] = backend
    try:
        if config is not None:
            raw = utf8(_path(config, "config"), "config")
            check(lib.statekeep_config_load_file(made[0], raw, len(raw), err), err)
        for key, value in chosen.items():
            name = utf8(key, "setting")
            text = utf8(value if isinstance(value, str) else json.dumps(value), key)
            check(lib.statekeep_config_set(made[0], name, len(name), text, len(text), err), err)
        out = ffi.new("statekeep_manager **")
        status = lib.statekeep_manager_open(made[0], out, err)
        if status != 0:
            raise fail(status, err)
        return State(out[0])
    finally:
        lib.statekeep_config_free(made[0])


def _path(path: str | os.PathLike[str], what: str) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str or PathLike[str], not {type(path).__name__}")
    return text
