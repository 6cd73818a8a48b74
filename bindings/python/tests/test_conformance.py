"""The stories of ffi/conformance, run through the Python package.

Python hands over values, not JSON texts: a `text` is compared as the value that it says, and a text
that says none cannot be handed over at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import statekeep

STORIES = sorted((Path(__file__).resolve().parents[3] / "ffi" / "conformance").glob("*.json"))


def grown(value: Any) -> Any:
    """A value with each `{"$repeat": [text, times]}` in it written out."""
    if isinstance(value, dict):
        if set(value) == {"$repeat"}:
            text, times = value["$repeat"]
            return text * times
        return {key: grown(item) for key, item in value.items()}
    return [grown(item) for item in value] if isinstance(value, list) else value


def value_of(step: dict[str, Any]) -> Any:
    if "hex" in step:
        return bytes.fromhex(grown(step["hex"]))
    return json.loads(grown(step["text"])) if "text" in step else grown(step["json"])


class Story:
    """The handles and backups of one story."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.states: dict[str, statekeep.State] = {}
        self.backups: dict[str, statekeep.Backup] = {}

    def play(self, step: dict[str, Any]) -> None:
        try:
            found = self.act(step)
        except statekeep.Error as error:
            assert error.code == step.get("status", "OK"), (step, error)
            return
        assert found.pop("status", "OK") == step.get("status", "OK"), step
        for name, value in found.items():
            expected = value_of(step) if name == "value" else grown(step.get(name, value))
            assert (sorted(value) if name == "scopes" else value) == (
                sorted(expected) if name == "scopes" else expected
            ), step

    def act(self, step: dict[str, Any]) -> dict[str, Any]:
        on = step.get("on", "state")
        scope, key = grown(step.get("scope", "")), grown(step.get("key", ""))
        if step["do"] == "open":
            path, settings = self.folder / step.get("path", "state"), step.get("config")
            opened = statekeep.open(path, backend=step.get("backend"), settings=settings)
            self.states[step.get("as", "state")] = opened
            return {}
        state = self.states[on]
        match step["do"]:
            case "tenant":
                self.states[step["as"]] = state.tenant(grown(step["name"]))
            case "close":
                if state.closed:
                    return {"status": "CLOSED"}
                state.close()
            case "set":
                state.set(scope, key, value_of(step))
            case "get":
                missing = object()
                value = state.get(scope, key, missing)
                return {"status": "NOT_FOUND"} if value is missing else {"value": value}
            case "exists":
                return {} if state.exists(scope, key) else {"status": "NOT_FOUND"}
            case "delete":
                return {} if state.delete(scope, key) else {"status": "NOT_FOUND"}
            case "batch":
                with state.batch() as batch:
                    for change in step["changes"]:
                        names = grown(change["scope"]), grown(change["key"])
                        if change["do"] == "set":
                            batch.set(*names, value_of(change))
                        else:
                            batch.delete(*names)
            case "scan":
                found = state.scope(scope).entries(
                    prefix=grown(step.get("prefix", "")), glob=grown(step.get("glob", ""))
                )
                entries = [[key, value] for key, value in found if key > step.get("after", "")]
                return {"entries": entries[: step.get("limit")]}
            case "scopes":
                return {"scopes": state.scopes()}
            case "clear":
                before = len(state.scope(scope))
                state.scope(scope).clear()
                return {"count": before}
            case "copy":
                return {"count": state.copy_scope(scope, grown(step["to"]))}
            case "move":
                return {"count": state.move_scope(scope, grown(step["to"]))}
            case "backup":
                self.backups[step["as"]] = state.backups.create(**step.get("options", {}))
            case "verify":
                backup = self.backups.get(step["backup"], step["backup"])
                report = state.backups.verify(backup, quick=step.get("level") == "quick")
                return {"valid": report.is_valid}
            case "restore":
                state.backups.restore(self.backups.get(step["backup"], step["backup"]))
            case other:
                pytest.fail(f"the story says {other}, which this runner does not know")
        return {}


def says_nothing(step: dict[str, Any]) -> bool:
    """Whether a step sets a text that is no JSON."""
    try:
        value_of(step) if step["do"] == "set" else None
        return any(says_nothing(change) for change in step.get("changes", ()))
    except json.JSONDecodeError:
        return True


@pytest.mark.parametrize("file", STORIES, ids=lambda file: file.stem)
def test_story(file: Path, tmp_path: Path) -> None:
    story = Story(tmp_path)
    played = 0
    for step in json.loads(file.read_text())["steps"]:
        if not says_nothing(step):
            story.play(step)
            played += 1
    for state in story.states.values():
        state.close()
    assert played > 5
