"""All recall indexes of one release, opened together, and the scores of every channel for given candidates."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS
from shopfuse.recall.co_visit import CoVisitIndex
from shopfuse.recall.item_table import ItemTable
from shopfuse.recall.lexical import LexicalIndex
from shopfuse.recall.popular import PopularIndex
from shopfuse.recall.vectors import VectorIndex
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import ReleaseError


@dataclass(frozen=True, slots=True)
class RecallQuery:
    """What a request brings to recall; empty or None where it has none."""

    query: str = ""  # normalised
    text_embedding: NDArray[np.float32] | None = None  # [text_dim]
    behaviour_vector: NDArray[np.float32] | None = None  # [128], of the user or, in a search, of the query
    history_rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))  # [h], -1 where unknown
    history_weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))  # [h], summing to 1


@dataclass(frozen=True, slots=True)
class RecallIndexes:
    items: ItemTable
    lexical: LexicalIndex
    semantic: VectorIndex
    behaviour: VectorIndex
    co_visit: CoVisitIndex
    popular: PopularIndex

    @classmethod
    def open(cls, layout: ReleaseLayout) -> RecallIndexes:
        """Raises ReleaseError naming the file that is missing, damaged, or of another number of items."""
        indexes = cls(
            ItemTable.open(layout.items),
            LexicalIndex.open(layout.lexical),
            VectorIndex.open(layout.semantic),
            VectorIndex.open(layout.behaviour),
            CoVisitIndex.open(layout.indexes),
            PopularIndex.open(layout.indexes),
        )
        for name in ("lexical", "semantic", "behaviour", "co_visit", "popular"):
            if (size := len(getattr(indexes, name))) != len(indexes.items):
                raise ReleaseError(f"{layout.indexes}: {name} index of {size} items, expected {len(indexes.items)}")
        return indexes


def channel_scores(
    indexes: RecallIndexes, rows: NDArray[np.int32], query: RecallQuery
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The raw score of every channel for every candidate, and where a channel applies: ([c, K], [c, K]).

    Completes the channels: an item that only one channel found gets its score from the others, too. A channel without
    its input (no query, no history, ...) and an unknown candidate (row -1) have score 0 and mask 0.
    """
    scores = np.zeros((len(rows), len(CHANNELS)), np.float32)
    mask = np.zeros((len(rows), len(CHANNELS)), np.float32)
    known = np.flatnonzero(rows >= 0)
    for name, column in _columns(indexes, rows[known], query).items():
        scores[known, CHANNEL_COLUMN[name]] = column
        mask[known, CHANNEL_COLUMN[name]] = 1.0
    return scores, mask


def _columns(indexes: RecallIndexes, rows: NDArray[np.int32], query: RecallQuery) -> dict[str, NDArray[np.float32]]:
    columns = {"popular": indexes.popular.score(rows)}
    if query.query:
        columns["lexical"] = indexes.lexical.score(query.query, rows)
        columns["coverage"] = indexes.lexical.coverage(query.query, rows)
    if query.text_embedding is not None:
        columns["semantic"] = indexes.semantic.score(query.text_embedding, rows)
    if query.behaviour_vector is not None:
        columns["behaviour"] = indexes.behaviour.score(query.behaviour_vector, rows)
    if (query.history_rows >= 0).any():
        columns["co_visit"] = indexes.co_visit.score(query.history_rows, query.history_weights, rows)
    return columns
