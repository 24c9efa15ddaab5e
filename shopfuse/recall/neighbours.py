"""The channels of what users had: neighbours, which the same users had, and transitions, which came right after.

What training/sequences/neighbours.py counts offline; shrinkage and decay are those that were best there. A user's
history is their distinct items by the newest event: who looks at an item thrice has not come back to it twice.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from shopfuse.recall.indexes import IndexFile
from shopfuse.recall.pairs import PairCount, PairIndex, Weighed, build_pairs, fading, pair_channel
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.visits import Sessions, Visits, visits

NEIGHBOURS = 200
SHRINKAGE = 60.0  # users
HALF_SURE = 10.0 / (10.0 + SHRINKAGE)  # two items that ten users had, and nobody only one of them
DECAY = 0.5  # of a history item's weight, a step back
USER_ITEMS = 50  # the newest distinct items of a user
STEPS = 3  # how far apart two items follow each other; k steps count 1 / k


def build_neighbours(folder: Path, users: Sessions, items: int) -> None:
    """Writes each item's NEIGHBOURS best neighbours. Takes events by user in the place of the session."""
    build_pairs(folder, "neighbours", visits(users, USER_ITEMS), items, PairCount(NEIGHBOURS, SHRINKAGE))


def build_transitions(folder: Path, users: Sessions, items: int) -> None:
    """Writes the NEIGHBOURS best followers of each item. Takes events by user in the place of the session."""
    followed = _followers(visits(users, USER_ITEMS))
    build_pairs(folder, "transitions", followed, items, PairCount(NEIGHBOURS, SHRINKAGE, by_step=True))


def _followers(seen: Visits) -> Visits:
    """The same entries, each beside the STEPS that came after it: newest come first."""
    own = np.arange(len(seen.rows))
    starts = np.maximum(seen.starts, own - STEPS)
    sizes = own - starts
    counted = (np.cumsum(1.0 / np.arange(1, STEPS + 1))[sizes[sizes > 0] - 1]).sum()  # of all pairs, in either order
    share = float(counted) / max(float((seen.sizes - 1).sum()), 1.0)
    return replace(seen, starts=starts, sizes=sizes, chance=seen.chance * share)


def _history(query: RecallQuery) -> Weighed:
    return fading(query.newest_rows, DECAY)


NEIGHBOURS_INDEX = IndexFile(
    "neighbours",
    lambda layout, shop: build_neighbours(layout.indexes, shop.users, len(shop.popular)),
    lambda layout: PairIndex.open(layout.indexes, "neighbours", HALF_SURE),
)
TRANSITIONS_INDEX = IndexFile(
    "transitions",
    lambda layout, shop: build_transitions(layout.indexes, shop.users, len(shop.popular)),
    lambda layout: PairIndex.open(layout.indexes, "transitions", HALF_SURE),
)


HAD_TOGETHER = pair_channel(NEIGHBOURS_INDEX, _history)
TRANSITIONS = pair_channel(TRANSITIONS_INDEX, _history)
