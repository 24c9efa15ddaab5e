"""The co-visit channel: items that occur in the same sessions as the items of a user's history.

A session counts with the geometric mean of the two events' weights, and half for each HALF_LIFE_S that it is older than
the newest one.
"""

from __future__ import annotations

from pathlib import Path

from shopfuse.recall.indexes import IndexFile
from shopfuse.recall.pairs import PairCount, PairIndex, build_pairs, pair_channel
from shopfuse.recall.visits import Sessions, visits

NEIGHBOURS = 50
SHRINKAGE = 20.0  # views together, in as many sessions: what makes a pair of items that are always together half sure
HALF_SURE = 0.2
SESSION_ITEMS = 30  # the last distinct items of a session; longer ones are mostly robots
HALF_LIFE_S = 30 * 86400.0


def build_co_visit(folder: Path, sessions: Sessions, items: int) -> None:
    """Writes each item's NEIGHBOURS best neighbours."""
    seen = visits(sessions, SESSION_ITEMS, HALF_LIFE_S)
    build_pairs(folder, "co_visit", seen, items, PairCount(NEIGHBOURS, SHRINKAGE))


CO_VISIT_INDEX = IndexFile(
    "co_visit",
    lambda layout, shop: build_co_visit(layout.indexes, shop.sessions, len(shop.popular)),
    lambda layout: PairIndex.open(layout.indexes, "co_visit", HALF_SURE),
)
CO_VISIT = pair_channel(CO_VISIT_INDEX, lambda query: (query.history_rows, query.history_weights))
