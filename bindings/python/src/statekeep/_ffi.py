"""What every module needs of the native library: errors turned into exceptions, bytes in and out.

Nothing here keeps a pointer beyond the call that it was given for.
"""

from __future__ import annotations

import json
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


def utf8(text: str, what: str) -> bytes:
    """A name as the library takes it."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise errors.InvalidArgument(f"{what} is not valid Unicode: {error}", code="INVALID_ARGUMENT", status=-1) from error
