"""What every module needs of the native library: errors turned into exceptions, bytes in and out.

`call`, `found`, `document`, `number` and `handle` make one call each, with room for its error and its
output at the end of the arguments. Nothing here keeps a pointer beyond the call that it was given for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import errors
from ._native import ffi as ffi, lib as lib

JSON = 1
BYTES = 2


def new_err() -> Any:
    """Room for one error object."""
    return ffi.new("statekeep_error **")


def fail(status: int, err: Any) -> errors.Error:
    """The exception for a status and the error object behind it, which is freed."""
    message = ""
    detail: dict[str, Any] = {}
    if err is not None and err[0] != ffi.NULL:
        text, size = ffi.new("const char **"), ffi.new("size_t *")
        lib.statekeep_error_message(err[0], text, size)
        message = _text(text, size)
        lib.statekeep_error_detail_json(err[0], text, size)
        raw = _text(text, size)
        detail = json.loads(raw) if raw else {}
        lib.statekeep_error_free(err[0])
        err[0] = ffi.NULL
    size = ffi.new("size_t *")
    name = lib.statekeep_status_name(status, size)
    code = bytes(ffi.buffer(name, size[0])).decode()
    return errors.BY_CODE.get(code, errors.Error)(
        message or code.lower().replace("_", " "),
        code=code,
        status=int(status),
        retryable=bool(lib.statekeep_status_is_retryable(status)),
        detail=detail,
    )


def _text(text: Any, size: Any) -> str:
    return bytes(ffi.buffer(text[0], size[0])).decode() if text[0] != ffi.NULL else ""


def check(status: int, err: Any) -> None:
    """Raises unless the status is OK."""
    if status != 0:
        raise fail(status, err)


def take(buf: Any) -> bytes:
    """The content of a `statekeep_buf`, which is freed."""
    try:
        return bytes(ffi.buffer(buf.ptr, buf.len)) if buf.len else b""
    finally:
        lib.statekeep_buf_free(buf)


def call(function: Any, *arguments: Any) -> None:
    """Calls; raises unless the status is OK."""
    err = new_err()
    check(function(*arguments, err), err)


def found(function: Any, *arguments: Any) -> bool:
    """Calls; whether what was asked for is there."""
    err = new_err()
    status = function(*arguments, err)
    if status == lib.STATEKEEP_STATUS_NOT_FOUND and err[0] == ffi.NULL:
        return False
    check(status, err)
    return True


def document(function: Any, *arguments: Any) -> Any:
    """Calls; the JSON document that it answers."""
    return json.loads(text(function, *arguments))


def text(function: Any, *arguments: Any) -> str:
    """Calls; the text that it answers."""
    out = ffi.new("statekeep_buf *")
    call(function, *arguments, out)
    return take(out).decode()


def number(kind: str, function: Any, *arguments: Any) -> Any:
    """Calls; the number of a C type that it answers."""
    out = ffi.new(f"{kind} *")
    call(function, *arguments, out)
    return out[0]


def handle(kind: str, function: Any, *arguments: Any) -> Any:
    """Calls; the handle that it makes."""
    out = ffi.new(f"{kind} **")
    call(function, *arguments, out)
    return out[0]


def invalid(message: str) -> errors.InvalidArgument:
    """The exception for an argument that the library need not be asked about."""
    return errors.InvalidArgument(message, code="INVALID_ARGUMENT", status=-1)


def utf8(text: str, what: str) -> bytes:
    """A name as the library takes it."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise invalid(f"{what} is not valid Unicode: {error}") from error


def name(text: str, what: str) -> tuple[bytes, int]:
    """A name as pointer and length."""
    raw = utf8(text, what)
    return raw, len(raw)


def place(scope: str, key: str) -> tuple[bytes, int, bytes, int]:
    """A scope and a key as pointers and lengths."""
    raw_scope, raw_key = utf8(scope, "scope"), utf8(key, "key")
    return raw_scope, len(raw_scope), raw_key, len(raw_key)


def options(members: Mapping[str, Any]) -> tuple[bytes, int]:
    """A JSON object without its None members, as pointer and length."""
    return whole({name: member for name, member in members.items() if member is not None})


def whole(members: Mapping[str, Any]) -> tuple[bytes, int]:
    """A JSON object, as pointer and length."""
    try:
        text = json.dumps(members)
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(f"the options cannot be written as JSON: {error}") from error
    return text.encode(), len(text)


def unsigned(value: int, what: str) -> int:
    """A number that fits into 64 bits without a sign."""
    if not isinstance(value, int):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    if not 0 <= value < 1 << 64:
        raise invalid(f"{what} must be from 0 to 2**64 - 1, not {value}")
    return value
