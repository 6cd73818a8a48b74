"""The quickstart: a C library and this Python program share one state, fill it, back it up, damage
it, restore it, and compare every record. Run it through `scripts/quickstart`."""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import sys
import time

import statekeep
from conversations import conversations


class AgentMemory:
    """The C library of `agent_memory.h`, loaded into this process."""

    def __init__(self, library: str, config: str) -> None:
        self._c = ctypes.CDLL(library)
        self._c.agent_memory_recall.restype = ctypes.c_long
        if self._c.agent_memory_open(config.encode()) != 0:
            sys.exit("the C library could not open the state")

    def remember(self, scope: str, key: str, document: object) -> None:
        text = json.dumps(document).encode()
        assert self._c.agent_memory_remember(scope.encode(), key.encode(), text) == 0

    def recall(self, scope: str, key: str) -> object:
        buffer = ctypes.create_string_buffer(64 * 1024)
        length = self._c.agent_memory_recall(scope.encode(), key.encode(), buffer, len(buffer))
        return json.loads(buffer.value) if length >= 0 else None

    def close(self) -> None:
        self._c.agent_memory_close()


def share(state: statekeep.State, memory: AgentMemory) -> None:
    """C sets, Python reads; Python sets, C reads: one manager, not two."""
    agent = state.scope("agent:planner")
    memory.remember("agent:planner", "from-c", {"hello": "Python", "n": 2**53 + 1})
    assert agent["from-c"] == {"hello": "Python", "n": 2**53 + 1}
    print(f"  C set agent:planner/from-c, Python reads {agent['from-c']}")
    agent["from-python"] = {"hello": "C"}
    assert memory.recall("agent:planner", "from-python") == {"hello": "C"}
    print(f"  Python set agent:planner/from-python, C reads {memory.recall('agent:planner', 'from-python')}")


def fill(state: statekeep.State, records: int) -> None:
    start = time.monotonic()
    made = conversations(records)
    while chunk := list(itertools.islice(made, 1000)):
        with state.batch() as batch:
            for scope, key, message in chunk:
                batch.set(scope, key, message)
    print(f"  {records:,} messages went in, {records / (time.monotonic() - start):,.0f} a second")


def back_up(state: statekeep.State) -> statekeep.Backup:
    def bar(progress: statekeep.Progress) -> None:
        if sys.stderr.isatty() or progress.done:
            total = max(progress.records_total, 1)
            filled = min(30, 30 * progress.records // total)
            print(f"\r  [{'#' * filled}{'.' * (30 - filled)}] {progress.records:,} records, "
                  f"{progress.bytes_in / 1e6:,.1f} MB read, {progress.bytes_out / 1e6:,.1f} MB written",
                  end="\n" if progress.done else "", file=sys.stderr, flush=True)

    backup = state.backups.create(label="quickstart", progress=bar)
    report = state.backups.verify(backup.id)
    assert report.is_valid, report.errors
    print(f"  backup {backup.id}: {backup.records:,} records, verified")
    return backup


def damage(state: statekeep.State, memory: AgentMemory) -> None:
    """An agent ruins its memory: a tenth overwritten, a session wiped, the rest left."""
    for number, (scope, key, _) in enumerate(conversations(2000)):
        if number % 10 == 0:
            memory.remember(scope, key, {"role": "assistant", "content": "I forgot everything"})
    state.scope("session:000003").clear()
    state.scope("session:000001")["stray"] = "was never there"


def compare(state: statekeep.State, records: int) -> None:
    compared = 0
    for scope, group in itertools.groupby(conversations(records), key=lambda row: row[0]):
        expected = {key: message for _, key, message in group}
        found = dict(state.scope(scope).items())
        assert found == expected, f"{scope} differs"
        compared += len(found)
    assert compared == records
    assert state.scope("agent:planner")["from-c"]["hello"] == "Python"
    print(f"  all {compared:,} messages are as they were")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="the statekeep.toml to use")
    parser.add_argument("--library", required=True, help="libagent_memory.so")
    parser.add_argument("--records", type=int, default=100_000)
    args = parser.parse_args()

    with statekeep.open(config=args.config) as state:
        print(f"  backend {state.info['backend']}, state {state.info['path']}")
        memory = AgentMemory(args.library, args.config)
        share(state, memory)
        fill(state, args.records)
        backup = back_up(state)
        damage(state, memory)
        state.backups.restore(backup.id)
        compare(state, args.records)
        memory.close()


if __name__ == "__main__":
    main()
