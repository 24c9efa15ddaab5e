"""Candidates by every channel of a surface: found, merged into one pool by reciprocal ranks, and scored.

Serving, training and evaluation all recall through here. The gateway adds deadlines and threads, and does without the
channels that fail. Raw scores of channels are not comparable; ranks are (Cormack, Clarke and Buettcher, 2009). The
ranker decides the order that is shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import Surface
from shopfuse.ranking.fusion import RRF_K
from shopfuse.recall.groups import NO_GROUPS, Groups
from shopfuse.recall.hits import NO_HITS, Hits, best
from shopfuse.recall.indexes import RecallIndexes, Scored
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.selection import Selection

POOL = 256  # candidates that reach the ranker
PER_CHANNEL = 200  # candidates that one channel may bring


def pool(
    indexes: RecallIndexes,
    query: RecallQuery,
    surface: Surface,
    selection: Selection | None = None,
    without: frozenset[str] = frozenset(),
) -> NDArray[np.int32]:
    """Rows of the candidates, best first; channels in `without` are not asked."""
    names = [name for name in applicable_channels(indexes, query, surface) if name not in without]
    hits = {name: search(indexes, name, query, PER_CHANNEL, selection) for name in names}
    return merge(hits, POOL, indexes.items.groups)


def applicable_channels(indexes: RecallIndexes, query: RecallQuery, surface: Surface) -> list[str]:
    """The channels that feed the surface and apply; without a behaviour vector others stand in."""
    feeding = [row for row in indexes.table if surface in row.feeds]
    if feeding and query.behaviour_vector is None:
        feeding += [row for row in indexes.table if row.stands_in and row not in feeding]
    return [row.name for row in feeding if indexes.channels[row.name].applies(query)]


def search(indexes: RecallIndexes, name: str, query: RecallQuery, k: int, selection: Selection | None = None) -> Hits:
    """The k best rows of a channel that applies to the query, of a product's variants the best one; none of a channel
    that only scores."""
    look = indexes.channels[name].search
    if look is None:
        return NO_HITS
    return indexes.items.groups.search(lambda limit, among: look(indexes, query, limit, among), k, selection)


def merge(hits: Mapping[str, Hits], limit: int, groups: Groups = NO_GROUPS) -> NDArray[np.int32]:
    """The rows of the pool, best first: by the sum of 1 / (60 + rank) over the channels, then by row.

    A product's variants stand together, by the sum of all: each channel may have brought another one.
    """
    parts = [hits[name] for name in sorted(hits)] or [NO_HITS]  # sums must not depend on the order of arrival
    rows = np.concatenate([part.rows for part in parts])
    shares = np.concatenate([1.0 / (RRF_K + 1.0 + np.arange(len(part))) for part in parts])
    distinct, inverse = np.unique(rows, return_inverse=True)
    sums = np.bincount(inverse, weights=shares, minlength=len(distinct))
    if not groups.present:
        return best(distinct, sums, limit).rows
    codes, inverse = np.unique(groups.code[distinct], return_inverse=True)
    of_group = np.bincount(inverse, weights=sums, minlength=len(codes))[inverse]
    best_first = np.lexsort((distinct, -sums, inverse, -of_group))[:limit]
    in_order: NDArray[np.int32] = distinct[best_first].astype(np.int32)
    return in_order


def channel_scores(
    indexes: RecallIndexes, rows: NDArray[np.int32], query: RecallQuery
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The raw score of every channel for every candidate, and where a channel applies: ([c, K], [c, K]).

    Completes the channels: an item that only one channel found gets its score from the others, too. A channel without
    its input (no query, no history, ...) and an unknown candidate (row -1) have score 0 and mask 0; so has the visual
    channel of an item without an image.
    """
    scores = np.full((len(rows), len(indexes.table)), np.nan, np.float32)
    known = np.flatnonzero(rows >= 0)
    scored = Scored(indexes, query, rows[known])
    for column, row in enumerate(indexes.table):
        if (said := scored[row.name]) is not None:
            scores[known, column] = said
    mask = ~np.isnan(scores)
    return np.where(mask, scores, np.float32(0.0)), mask.astype(np.float32)
