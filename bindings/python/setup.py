"""Builds the cffi extension against libstatekeep and puts the library beside it.

The library is taken from STATEKEEP_PREFIX (what `just install PREFIX` made), else from pkg-config,
else it is built from this source tree with cargo. The extension names it as `libstatekeep.so.0`, so
that in a process whose C code has loaded it already, the same copy is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
SONAME = "libstatekeep.so.0"


def library() -> Path:
    """The shared library to link with and to bundle."""
    prefix = os.environ.get("STATEKEEP_PREFIX")
    if prefix:
        return _existing(Path(prefix) / "lib" / "libstatekeep.so")
    source = HERE.parent.parent
    if (source / "ffi" / "Cargo.toml").exists():
        release = os.environ.get("STATEKEEP_PROFILE", "release") == "release"
        flags = ["--release"] if release else []
        subprocess.run(["cargo", "build", "-q", "-p", "statekeep-ffi", *flags], cwd=source, check=True)
        target = Path(os.environ.get("CARGO_TARGET_DIR", source / "target"))
        return _existing(target / ("release" if release else "debug") / "libstatekeep.so")
    found = subprocess.run(
        ["pkg-config", "--variable=libdir", "statekeep"], capture_output=True, text=True, check=False
    )
    if found.returncode == 0:
        return _existing(Path(found.stdout.strip()) / "libstatekeep.so")
    raise SystemExit(
        "libstatekeep was not found: set STATEKEEP_PREFIX to where it is installed, or run this in "
        "the Statekeep source tree with cargo on the PATH"
    )


def _existing(path: Path) -> Path:
    if not path.exists():
        raise SystemExit(f"{path} does not exist; run `just install PREFIX` first")
    return path


bundled = HERE / "src" / "statekeep" / "_lib"
bundled.mkdir(exist_ok=True)
shutil.copyfile(library().resolve(), bundled / SONAME)
link = bundled / "libstatekeep.so"
link.unlink(missing_ok=True)
link.symlink_to(SONAME)

setup(cffi_modules=["native_build.py:ffi"])
