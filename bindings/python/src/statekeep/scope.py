"""A scope as a mutable mapping of keys to values."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from . import errors
from ._ffi import check, ffi, lib, new_err, utf8
from ._values import decode

if TYPE_CHECKING:
    from .state import State


class Scope(MutableMapping[str, Any]):
    """The keys of one scope. Each assignment is one durable commit; use a batch for many."""

    def __init__(self, state: State, name: str) -> None:
        self._state = state
        self._name = name

    @property
    def name(self) -> str:
        """The scope's text form, such as `user:42`."""
        return self._name

    def __getitem__(self, key: str) -> Any:
        found, value = self._state._get(self._name, key)
        if not found:
            raise errors.NotFound(f"{self._name} has no key {key!r}", code="NOT_FOUND", status=1)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self._state.set(self._name, key, value)

    def __delitem__(self, key: str) -> None:
        if not self._state.delete(self._name, key):
            raise errors.NotFound(f"{self._name} has no key {key!r}", code="NOT_FOUND", status=1)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._state.exists(self._name, key)

    def __iter__(self) -> Iterator[str]:
        return self.list()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<statekeep.Scope {self._name!r}>"

    def list(self, *, prefix: str = "", glob: str = "") -> Iterator[str]:
        """Keys in order, all or those that match; read page by page while iterating."""
        return (key for key, _, _ in self._scan(prefix, glob, values=False))

    def entries(self, *, prefix: str = "", glob: str = "") -> Iterator[tuple[str, Any]]:
        """Keys with their values, in order; read page by page while iterating."""
        return ((key, decode(kind, data)) for key, kind, data in self._scan(prefix, glob, values=True))

    def items(self) -> Any:
        """Keys with their values, as `dict.items()`."""
        return _Items(self)

    def _scan(self, prefix: str, glob: str, values: bool) -> Iterator[tuple[str, int, bytes]]:
        name, err = utf8(self._name, "scope"), new_err()
        options = ffi.new("statekeep_scan_options *")
        options.struct_size = ffi.sizeof("statekeep_scan_options")
        raw_prefix, raw_glob = ffi.from_buffer(utf8(prefix, "prefix")), ffi.from_buffer(utf8(glob, "glob"))
        options.prefix, options.prefix_len = raw_prefix, len(raw_prefix)
        options.glob, options.glob_len = raw_glob, len(raw_glob)
        options.flags = 0 if values else lib.STATEKEEP_SCAN_OPTION_KEYS_ONLY
        out = ffi.new("statekeep_scan **")
        check(lib.statekeep_scan_open(self._state.handle, name, len(name), options, out, err), err)
        scan = ffi.gc(out[0], lib.statekeep_scan_close)
        key, key_len = ffi.new("const char **"), ffi.new("size_t *")
        value, value_len = ffi.new("const uint8_t **"), ffi.new("size_t *")
        kind = ffi.new("uint32_t *")
        try:
            while True:
                status = lib.statekeep_scan_next(scan, key, key_len, kind, value, value_len, err)
                if status == lib.STATEKEEP_STATUS_NOT_FOUND:
                    return
                check(status, err)
                text = bytes(ffi.buffer(key[0], key_len[0])).decode()
                data = bytes(ffi.buffer(value[0], value_len[0])) if value_len[0] else b""
                yield text, kind[0], data
        finally:
            ffi.release(scan)

    def clear(self) -> None:
        """Removes every key of the scope, as one commit."""
        name, err, count = utf8(self._name, "scope"), new_err(), ffi.new("uint64_t *")
        check(lib.statekeep_scope_clear(self._state.handle, name, len(name), count, err), err)


class _Items:
    """What `Scope.items()` gives: one pass over the scope per iteration, values included."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return self._scope.entries()

    def __len__(self) -> int:
        return len(self._scope)

    def __contains__(self, item: object) -> bool:
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)):
            return False
        missing = object()
        found = self._scope.get(item[0], missing)
        return found is not missing and bool(found == item[1])
