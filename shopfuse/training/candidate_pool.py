"""The pool of candidates that the gateway would rank for a request: the surface's channels, merged.

The channels of a surface and the sizes are the gateway's; a test that imports both keeps them equal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.found import Found
from shopfuse.recall.indexes import RecallIndexes, RecallQuery
from shopfuse.recall.merge import merge
from shopfuse.recall.selection import Selection

POOL = 256
PER_CHANNEL = 200
SURFACE_CHANNELS = {
    "search": ("lexical", "semantic", "visual", "behaviour"),
    "recommend": ("behaviour", "co_visit", "popular"),
    "similar": ("semantic", "visual", "behaviour", "co_visit"),
}
Search = Callable[[RecallIndexes, RecallQuery, Selection | None], Found | None]


def _lexical(indexes: RecallIndexes, query: RecallQuery, selection: Selection | None) -> Found | None:
    return indexes.lexical.search(query.query, PER_CHANNEL, selection) if query.query else None


def _semantic(indexes: RecallIndexes, query: RecallQuery, selection: Selection | None) -> Found | None:
    vector = query.text_embedding
    return None if vector is None else indexes.semantic.search(vector, PER_CHANNEL, selection)


def _visual(indexes: RecallIndexes, query: RecallQuery, selection: Selection | None) -> Found | None:
    looks = query.image_embedding
    return None if looks is None else indexes.search_visual(looks, PER_CHANNEL, selection)


def _behaviour(indexes: RecallIndexes, query: RecallQuery, selection: Selection | None) -> Found | None:
    vector = query.behaviour_vector
    return None if vector is None else indexes.behaviour.search(vector, PER_CHANNEL, selection)


def _co_visit(indexes: RecallIndexes, query: RecallQuery, selection: Selection | None) -> Found | None:
    if not (query.history_rows >= 0).any():
        return None
    return indexes.co_visit.search(query.history_rows, query.history_weights, PER_CHANNEL, selection)


def _popular(indexes: RecallIndexes, query: RecallQuery, selection: Selection | None) -> Found | None:
    return indexes.popular.search(PER_CHANNEL, selection)


_SEARCHES: dict[str, Search] = {
    "lexical": _lexical,
    "semantic": _semantic,
    "visual": _visual,
    "behaviour": _behaviour,
    "co_visit": _co_visit,
    "popular": _popular,
}


def candidate_pool(
    indexes: RecallIndexes,
    query: RecallQuery,
    surface: str,
    selection: Selection | None = None,
    without: frozenset[str] = frozenset(),
) -> NDArray[np.int32]:
    """Rows of the candidates, best first; channels in `without` are not asked."""
    names: tuple[str, ...] = SURFACE_CHANNELS[surface]
    if query.behaviour_vector is None and "popular" not in names:
        names = (*names, "popular")
    found = {name: _SEARCHES[name](indexes, query, selection) for name in names if name not in without}
    return merge({name: hits for name, hits in found.items() if hits is not None}, POOL)
