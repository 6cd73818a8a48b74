"""The stories of ffi/conformance, run through the Python package.

Python hands over values, not JSON texts: a `text` is compared as the value that it says, and a text
that says none cannot be handed over at all.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from itertools import islice
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
    """The handles of one story, and what it named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.handles: dict[str, Any] = {}
        self.named: dict[str, Any] = {}

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
            self.handles[step.get("as", "state")] = opened
            return {}
        state = self.handles[on]
        match step["do"]:
            case "tenant":
                self.handles[step["as"]] = state.tenant(grown(step["name"]))
            case "close":
                if state.closed:
                    return {"status": "CLOSED"}
                state.close()
            case "set":
                state.set(scope, key, value_of(step), **set_options(step))
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
                self.named[step["as"]] = state.backups.create(**step.get("options", {}))
            case "verify":
                backup = self.named.get(step["backup"], step["backup"])
                report = state.backups.verify(backup, quick=step.get("level") == "quick")
                return {"valid": report.is_valid}
            case "restore":
                state.backups.restore(self.named.get(step["backup"], step["backup"]))
            case _:
                return self.act_on_engine(state, step, (scope, key))
        return {}

    def act_on_engine(
        self, handle: Any, step: dict[str, Any], at: tuple[str, str]
    ) -> dict[str, Any]:
        options = step.get("options", {})
        match step["do"]:
            case "origin":
                who = {name: step.get(name, "") for name in ("principal", "correlation_id")}
                self.handles[step["as"]] = handle.with_origin(**who)
            case "snapshot":
                opened = handle.at(step["at"]) if "at" in step else handle.snapshot()
                self.handles[step["as"]] = opened
            case "history":
                versions = islice(handle.history(*at), options.get("limit"))
                return {"versions": [[each.op, each.value, each.principal] for each in versions]}
            case "diff":
                found = handle.diff(step["before"], step["after"], **options)
                return {"entries": [[each.scope, each.key, each.change] for each in found]}
            case "begin":
                self.handles[step["as"]] = handle.transaction(**options)
            case "savepoint":
                self.named[step["as"]] = handle.savepoint()
            case "rollback_to":
                self.named[step["savepoint"]].rollback()
            case "commit":
                handle.commit()
            case "increment":
                return {"sum": handle.increment(*at, step["by"], **options)}
            case "compare_and_swap":
                value = step.get("json", statekeep.ABSENT)
                handle.compare_and_swap(*at, value, expected=step.get("expected", statekeep.ABSENT))
            case "set_if_absent":
                return {"is_set": handle.set_if_absent(*at, step["json"]) is not None}
            case "merge_patch" | "json_patch" as patch:
                return {"value": getattr(handle, patch)(*at, step["patch"])}
            case "watch":
                self.handles[step["as"]] = handle.watch(**watch_options(options))
            case "next":
                change = handle.next(0 if step.get("status") == "TIMEOUT" else None)
                if change is None:
                    return {"status": "TIMEOUT"}
                shown = {name: getattr(change, name) for name in step["change"]}
                valued = {"value": change.value} if "json" in step or "hex" in step else {}
                return {"change": shown, **valued}
            case "acknowledge":
                handle.acknowledge()
            case "cursors":
                return {"names": [cursor.name for cursor in handle.cursors()]}
            case "delete_cursor":
                return {} if handle.delete_cursor(step["name"]) else {"status": "NOT_FOUND"}
            case "query":
                return {"rows": [[row.scope, row.key] for row in handle.query(step["query"])]}
            case "explain":
                return {"index": handle.explain(step["query"]).index}
            case "index":
                handle.create_index(**step["definition"])
            case "drop_index":
                handle.drop_index(step["name"])
            case "sweep":
                return {"removed": handle.sweep()}
            case "trim":
                return {"floor": handle.trim(**options).floor}
            case "metrics":
                known = samples(handle.metrics())
                return {"samples": {sample: known.get(sample) for sample in step.get("samples", {})}}
            case "swap":
                self.named[step["as"]] = handle.swap_backend(step["backend"], options).replaced
            case "undo":
                handle.undo(self.named[step["namespace"]], **options)
            case "release":
                handle.release_namespace(self.named[step["namespace"]])
            case other:
                pytest.fail(f"the story says {other}, which this runner does not know")
        return {}


def set_options(step: dict[str, Any]) -> dict[str, Any]:
    """What a step says of a value, as Python says it."""
    options = {"cls": step["class"]} if "class" in step else {}
    if "ttl_ms" in step:
        forever = step["ttl_ms"] == -1
        options["ttl"] = statekeep.NEVER if forever else timedelta(milliseconds=step["ttl_ms"])
    if "expires_unix_ms" in step:
        options["expires"] = datetime.fromtimestamp(step["expires_unix_ms"] / 1000, timezone.utc)
    return options


def watch_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a watch, as Python says them."""
    chosen = dict(options)
    match chosen.pop("from", "now"):
        case int(sequence):
            chosen["after"] = sequence
        case {"cursor": name}:
            chosen["cursor"] = name
    return chosen


def samples(text: str) -> dict[str, float]:
    """The values of a metrics' text by name and labels, without that of the state."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    shorter = [(re.sub(r'state_id="\w+",?', "", name), value) for name, _, value in lines]
    return {name.replace("{}", ""): float(value) for name, value in shorter}


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
    for handle in story.handles.values():
        handle.close()
    assert played > 5
