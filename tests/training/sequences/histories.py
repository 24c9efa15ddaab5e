"""Made-up histories in which one item tends to follow another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shopfuse.datasets.sequences import Sequences
from shopfuse.training.sequences.split import Histories, Split, leave_one_out


def histories(lists: Sequence[Sequence[int]]) -> Histories:
    """Histories of these items."""
    ends = np.cumsum([len(items) for items in lists]).astype(np.int64)
    flat = np.array([item for items in lists for item in items], np.int32)
    return Histories(flat, np.concatenate([[0], ends[:-1]]).astype(np.int64), ends)


def sequences(lists: Sequence[Sequence[int]], items: int) -> Sequences:
    """The same as a file that was read."""
    whole = histories(lists)
    starts = np.concatenate([whole.starts, whole.ends[-1:]])
    names = tuple(f"i{item}" for item in range(items))
    return Sequences(tuple(f"u{user}" for user in range(len(lists))), names, whole.events, starts, 0, "")


def walks(users: int = 200, items: int = 40, seed: int = 0) -> list[list[int]]:
    """Each item is followed by the next one, mostly."""
    random = np.random.default_rng(seed)
    lists = []
    for _ in range(users):
        walk = [int(random.integers(items))]
        while len(walk) < random.integers(4, 9):
            step = 1 if random.random() < 0.8 else int(random.integers(items))
            if (walk[-1] + step) % items not in walk:
                walk.append((walk[-1] + step) % items)
        lists.append(walk)
    return lists


def walking_shop(items: int = 40) -> Split:
    return leave_one_out(sequences(walks(items=items), items))
