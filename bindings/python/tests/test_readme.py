"""The Python snippets of the READMEs are run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
READMES = [HERE.parent / "README.md", HERE.parents[2] / "README.md"]


@pytest.mark.parametrize("readme", READMES, ids=["package", "project"])
def test_snippets_run(readme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", readme.read_text(), flags=re.S)
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, str(readme), "exec"), {})
