"""Generated agent conversations: the same seed gives the same records, so nothing has to be kept
to compare them later. Sizes follow what agents leave behind: most messages are short, some carry a
tool's output of several KiB, a few of 16 KiB."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

WORDS = (
    "plan search result agent memory the a to of and file test error retry summary user asks "
    "deploy branch review table column index query cache token budget step tool call returns "
    "weather invoice order ticket customer meeting draft translate compare schedule report"
).split()
ROLES = ("user", "assistant", "assistant", "tool")


def conversations(records: int, seed: int = 7) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields (scope, key, message), sorted by scope and key, `records` in all."""
    rng = random.Random(seed)
    made = 0
    session = 0
    while made < records:
        session += 1
        for turn in range(min(rng.randint(5, 120), records - made)):
            yield f"session:{session:06}", f"message:{turn:04}", _message(rng, session, turn)
            made += 1


def _message(rng: random.Random, session: int, turn: int) -> dict[str, Any]:
    role = ROLES[turn % len(ROLES)]
    size = rng.random()
    words = 12 if size < 0.70 else 120 if size < 0.95 else rng.randint(400, 2000)
    message: dict[str, Any] = {
        "role": role,
        "turn": turn,
        "at": 1_760_000_000_000 + session * 3_600_000 + turn * 1_000,
        "content": " ".join(rng.choices(WORDS, k=words)),
    }
    if role == "tool":
        message["tool"] = {"name": rng.choice(WORDS), "call": rng.getrandbits(63)}
    return message
