from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import statekeep


@pytest.fixture(params=["fjall", "memory", "sled", "redb", "lmdb", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[statekeep.State]:
    with statekeep.open(tmp_path / "state", backend=request.param) as opened:
        yield opened
