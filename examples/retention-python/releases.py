"""A retention policy of one's own, as a Python function.

Backups with a tag like `release-1.4` stay, the others may go once they are older than `days`. Run it on a
folder that it may fill:

    $ python releases.py demo-state
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta

import statekeep
from statekeep import Forget, Keep, PolicyBackup, PolicyContext, Verdict


def releases(backups: Sequence[PolicyBackup], context: PolicyContext) -> Iterator[Verdict]:
    """One verdict a backup, oldest first; `None` is no opinion. It runs on another thread while the cleanup
    waits; what it raises fails the cleanup, which deletes nothing then. The time is `context.now`, so
    that the same list gives the same answer."""
    prefix = context.options.get("prefix", "release-")
    limit = timedelta(days=context.options.get("days", 30))
    for backup in backups:
        if any(tag.startswith(prefix) for tag in backup.tags):
            yield Keep("the state of a release")
        elif context.now - backup.created >= limit:
            yield Forget(f"no release, and older than {limit.days} days")
        else:
            yield None


def main(path: str) -> None:
    with statekeep.open(path) as state:
        # From here on every rule may name it, in every language that has this state open.
        state.backups.register_policy("releases", releases)
        for number, tags in enumerate([["nightly"], ["release-1.4"], [], []]):
            state.set("global", "number", number)
            state.backups.create(tags=tags)

        # Its options stand beside its name. The newest backup stays whatever a policy says.
        rule = [{"policy": "releases", "days": 0}]
        plan = state.backups.cleanup(policies=rule, dry_run=True)
        for decision in plan.decisions:
            print("stays" if decision["keep"] else "goes ", decision["reason"])

        done = state.backups.cleanup(policies=rule)
        print(f"{done.deleted} deleted, {done.retained} kept")


if __name__ == "__main__":
    main(sys.argv[1])
