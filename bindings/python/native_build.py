"""The cffi extension `statekeep._native`, from the committed header."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent


def header() -> Path:
    prefix = os.environ.get("STATEKEEP_PREFIX")
    candidates = [HERE.parent.parent / "include" / "statekeep.h", HERE / "include" / "statekeep.h"]
    if prefix:
        candidates.insert(0, Path(prefix) / "include" / "statekeep.h")
    return next(path for path in candidates if path.exists())


def declarations(text: str) -> str:
    """What cffi takes of the header: comments, directives and `extern "C"` away, numbers kept."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    defines = re.findall(r"^#define (STATEKEEP_[A-Z0-9_]+) \(?(-?\d+)\)?\s*$", text, flags=re.M)
    text = re.sub(r"#ifdef __cplusplus.*?#endif[^\n]*", "", text, flags=re.S)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
    text = text.replace("STATEKEEP_API", "")
    constants = "".join(f"#define {name} {value}\n" for name, value in defines)
    return constants + text


ffi = FFI()
ffi.cdef(declarations(header().read_text()))
# What `statekeep.policies` defines.
ffi.cdef("""
extern "Python" void statekeep_python_evaluate(void *, statekeep_policy_call *);
extern "Python" void statekeep_python_destroy(void *);
""")
ffi.set_source(
    "statekeep._native",
    '#include "statekeep.h"',
    include_dirs=[str(header().parent)],
    library_dirs=[str(HERE / "src" / "statekeep" / "_lib")],
    libraries=["statekeep"],
    extra_link_args=["-Wl,-rpath,$ORIGIN/_lib"],
    py_limited_api=True,
)
