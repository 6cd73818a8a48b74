"""The examples are run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def test_a_policy_as_a_function(tmp_path: Path) -> None:
    script = EXAMPLES / "retention-python" / "releases.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "state")],
        capture_output=True, text=True, timeout=120, check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "goes  releases: no release, and older than 0 days",
        "stays releases: the state of a release",
        "goes  releases: no release, and older than 0 days",
        "stays the newest full backup of its series",
        "2 deleted, 2 kept",
    ]
