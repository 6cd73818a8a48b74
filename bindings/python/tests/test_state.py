"""State as a Python programmer meets it: mappings, values, errors, many handles on one manager."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import statekeep


def test_a_scope_is_a_mutable_mapping(state: statekeep.State) -> None:
    user = state.scope("user:42")
    user["name"] = {"first": "Ada", "tags": ["a", None, True], "n": 2**63 - 1, "f": 0.5}
    user["raw"] = b"\x00\xff"
    user["text"] = "grüße"
    assert user["name"] == {"first": "Ada", "tags": ["a", None, True], "n": 2**63 - 1, "f": 0.5}
    assert user["raw"] == b"\x00\xff"
    assert dict(user.items()) == {"name": user["name"], "raw": b"\x00\xff", "text": "grüße"}
    assert list(user) == ["name", "raw", "text"] and len(user) == 3
    assert "name" in user and "nobody" not in user and 7 not in user
    assert user.get("nobody") is None and user.get("nobody", 1) == 1
    assert user.setdefault("new", []) == []
    assert user.pop("new") == []
    del user["raw"]
    assert sorted(user.keys()) == ["name", "text"]
    user.clear()
    assert list(user) == []


def test_a_missing_key_is_a_key_error_with_words(state: statekeep.State) -> None:
    with pytest.raises(KeyError) as caught:
        state.scope("user:42")["nobody"]
    assert isinstance(caught.value, statekeep.NotFound)
    assert caught.value.code == "NOT_FOUND" and "nobody" in str(caught.value)
    with pytest.raises(statekeep.NotFound):
        del state.scope("user:42")["nobody"]


def test_keys_are_ordinary_text(state: statekeep.State) -> None:
    odd = [":", "%", "_", "*", "/", "..", "a:b", "日本", "x" * 512, " ", "\n"]
    scope = state.scope("custom:a")
    for number, key in enumerate(odd):
        scope[key] = number
    assert list(scope) == sorted(odd, key=str.encode)
    assert list(state.scope("custom:a:b")) == []
    assert list(scope.list(prefix="a")) == ["a:b"]
    assert list(scope.list(glob="a*b")) == ["a:b"]
    with pytest.raises(statekeep.InvalidArgument, match="glob"):
        list(scope.list(glob="a\\*b"))


def test_bad_names_and_values_are_refused(state: statekeep.State) -> None:
    scope = state.scope("user:1")
    for key in ["", "x" * 513, "a\0b", "\ud800"]:
        with pytest.raises(statekeep.InvalidArgument):
            scope[key] = 1
    for name in ["", "user:", "usr:1", "global:1", "step:w"]:
        with pytest.raises(ValueError):
            state.set(name, "k", 1)
    for value in [{1, 2}, float("nan"), object()]:
        with pytest.raises(statekeep.InvalidArgument):
            scope["k"] = value
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(statekeep.InvalidArgument):
        scope["k"] = deep
    with pytest.raises(TypeError):
        scope[7] = 1  # type: ignore[index]
    assert list(scope) == []


def test_a_value_over_the_limit_names_the_limit(state: statekeep.State) -> None:
    with pytest.raises(statekeep.TooLarge) as caught:
        state.set("global", "big", b"x" * ((16 << 20) + 1))
    assert "16777216" in str(caught.value)
    state.set("global", "big", b"x" * (16 << 20))
    assert len(state.get("global", "big")) == 16 << 20


def test_a_batch_is_all_or_nothing(state: statekeep.State) -> None:
    with state.batch() as batch:
        batch.set("user:1", "points", 90).set("user:2", "points", 110).delete("user:3", "points")
    assert (state.get("user:1", "points"), state.get("user:2", "points")) == (90, 110)
    with pytest.raises(RuntimeError):
        with state.batch() as batch:
            batch.set("user:1", "points", 0)
            raise RuntimeError("changed my mind")
    assert state.get("user:1", "points") == 90
    with pytest.raises(statekeep.Closed):
        batch.commit()


def test_scopes_are_listed_copied_and_moved(state: statekeep.State) -> None:
    state.set("agent:a", "k", 1)
    state.set("step:w/s", "k", 2)
    state.set("global", "k", 3)
    assert list(state.scopes()) == ["global", "agent:a", "step:w/s"]
    assert state.copy_scope("agent:a", "agent:b") == 1
    assert state.move_scope("agent:b", "agent:c") == 1
    assert state.get("agent:c", "k") == 1 and state.get("agent:b", "k") is None


def test_tenants_do_not_see_each_other(state: statekeep.State) -> None:
    acme, umbrella = state.tenant("acme"), state.tenant("umbrella")
    acme.set("global", "k", "acme's")
    assert umbrella.get("global", "k") is None and state.get("global", "k") is None
    assert state.tenant("acme").get("global", "k") == "acme's"
    assert list(acme.scopes()) == ["global"] and list(umbrella.scopes()) == []


def test_a_closed_state_raises(tmp_path: Path) -> None:
    state = statekeep.open(tmp_path / "state", backend="memory")
    scope = state.scope("global")
    state.close()
    state.close()
    for call in [lambda: state.get("global", "k"), lambda: scope.clear(), lambda: state.info]:
        with pytest.raises(statekeep.Closed):
            call()
    assert state.closed


def test_a_failed_close_is_heard(tmp_path: Path) -> None:
    program = """
import resource, signal, sys, statekeep
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
state = statekeep.open(sys.argv[1], backend="sled", settings={"durability": "relaxed"})
state.set("global", "k", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
try:
    state.set("global", "k", "x" * 1_000_000)
except statekeep.Error as error:
    print("set", error.code)
try:
    state.close()
except statekeep.Error as error:
    print("close", error.code)
"""
    output = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "state")],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    assert output[0].startswith("set ") and output[1:] == ["close POISONED"], output


def test_paths_are_text(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="path must be a str or PathLike"):
        statekeep.open(b"state")  # type: ignore[arg-type]


def test_opening_the_same_path_gives_the_same_manager(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with statekeep.open(path) as one, statekeep.open(str(path) + "/.") as other:
        one.set("global", "k", 1)
        assert other.get("global", "k") == 1
        one.close()
        other.set("global", "k", 2)
        assert other.get("global", "k") == 2
        with pytest.raises(statekeep.Conflict):
            statekeep.open(path, backend="sled")
    with statekeep.open(path) as again:
        assert again.get("global", "k") == 2


def test_another_process_is_told_who_holds_the_state(tmp_path: Path) -> None:
    program = (
        "import statekeep, sys\n"
        "try:\n    statekeep.open(sys.argv[1])\n"
        "except statekeep.Busy as error:\n    print(error.retryable, error)\n"
    )
    with statekeep.open(tmp_path / "state"):
        output = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "state")],
            capture_output=True, text=True, check=True,
        ).stdout
    assert output.startswith("True") and str(os.getpid()) in output


def test_a_fork_is_refused_in_the_child(tmp_path: Path) -> None:
    with statekeep.open(tmp_path / "state", backend="memory") as state:
        child = os.fork()
        if child == 0:
            try:
                state.get("global", "k")
            except statekeep.Forked:
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_threads_share_a_state(state: statekeep.State) -> None:
    def work(number: int) -> None:
        for turn in range(25):
            state.set(f"session:{number}", f"{turn:03}", {"turn": turn})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(state.scope(f"session:{number}")) for number in range(8)) == 200


def test_configuration_comes_from_file_and_settings(tmp_path: Path) -> None:
    (tmp_path / "statekeep.toml").write_text('path = "s"\nbackend = "memory"\n[backup]\ncodec = "lz4"\n')
    with statekeep.open(config=tmp_path / "statekeep.toml", settings={"backup.level": 1}) as state:
        assert state.info["backend"] == "memory"
    with pytest.raises(statekeep.InvalidArgument) as caught:
        statekeep.open(tmp_path / "x", settings={"backnd": "fjall"})
    assert "backend" in str(caught.value)
    with pytest.raises(statekeep.Error) as missing:
        statekeep.open(tmp_path / "x", backend="nosuch")
    assert "nosuch" in str(missing.value)


def test_exceptions_are_one_family() -> None:
    from statekeep import errors

    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and value.__module__ == errors.__name__
    ]
    assert all(issubclass(value, statekeep.Error) for value in classes)
    assert {value.__name__ for value in classes} - {"Error"} <= set(statekeep.__all__)
