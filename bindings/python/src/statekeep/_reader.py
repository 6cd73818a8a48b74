"""What a state, a snapshot and a transaction have in common: they can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from . import errors
from ._ffi import check, document, ffi, handle, lib, name, new_err, place, take, utf8
from ._owned import Owned
from ._values import decode
from .records import Record


class Reads(NamedTuple):
    """The C functions of one kind of handle."""

    get: Any
    exists: Any
    record: Any
    scan: Any


class Reader(Owned):
    """Reads of single keys and scans of scopes."""

    _reads: ClassVar[Reads]

    def get(self, scope: str, key: str, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        found, value = self._get(scope, key)
        return value if found else default

    def _get(self, scope: str, key: str) -> tuple[bool, Any]:
        raw_scope, raw_key = utf8(scope, "scope"), utf8(key, "key")
        err, out, kind = new_err(), ffi.new("statekeep_buf *"), ffi.new("uint32_t *")
        status = self._reads.get(
            self.handle, raw_scope, len(raw_scope), raw_key, len(raw_key), kind, out, err
        )
        if status == lib.STATEKEEP_STATUS_NOT_FOUND:
            return False, None
        check(status, err)
        return True, decode(kind[0], take(out))

    def exists(self, scope: str, key: str) -> bool:
        """Whether the key is there."""
        err = new_err()
        status = self._reads.exists(self.handle, *place(scope, key), err)
        if status == lib.STATEKEEP_STATUS_NOT_FOUND:
            return False
        check(status, err)
        return True

    def record(self, scope: str, key: str) -> Record | None:
        """What is known of a key beside its value, such as its version and expiry; None without it."""
        try:
            return Record.of(document(self._reads.record, self.handle, *place(scope, key)))
        except errors.NotFound:
            return None

    def _scan(
        self, scope: str, prefix: str, glob: str, values: bool
    ) -> Iterator[tuple[str, int, bytes]]:
        options = ffi.new("statekeep_scan_options *")
        options.struct_size = ffi.sizeof("statekeep_scan_options")
        raw_prefix, raw_glob = ffi.from_buffer(utf8(prefix, "prefix")), ffi.from_buffer(utf8(glob, "glob"))
        options.prefix, options.prefix_len = raw_prefix, len(raw_prefix)
        options.glob, options.glob_len = raw_glob, len(raw_glob)
        options.flags = 0 if values else lib.STATEKEEP_SCAN_OPTION_KEYS_ONLY
        opened = handle(
            "statekeep_scan", self._reads.scan, self.handle, *name(scope, "scope"), options
        )
        scan = ffi.gc(opened, lib.statekeep_scan_close)
        key, key_len = ffi.new("const char **"), ffi.new("size_t *")
        value, value_len = ffi.new("const uint8_t **"), ffi.new("size_t *")
        kind, err = ffi.new("uint32_t *"), new_err()
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


class Writer(Reader):
    """What can be written too: single keys, one after the other."""

    def set(self, scope: str, key: str, value: Any) -> object:
        """Stores a value."""
        raise NotImplementedError

    def delete(self, scope: str, key: str) -> bool:
        """Removes a key; answers whether it was there."""
        raise NotImplementedError

    def _clear(self, scope: str) -> None:
        raise NotImplementedError
