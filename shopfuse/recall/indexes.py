"""All recall indexes of one release, opened together, and the scores of every channel for given candidates."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS
from shopfuse.recall.categories import CategoryIndex
from shopfuse.recall.co_visit import CoVisitIndex
from shopfuse.recall.found import NOTHING, Found
from shopfuse.recall.item_table import ItemTable
from shopfuse.recall.lexical import LexicalIndex
from shopfuse.recall.popular import PopularIndex
from shopfuse.recall.selection import Selection
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
    image_embedding: NDArray[np.float32] | None = None  # [image_dim], of the query's picture or of the item's own


@dataclass(frozen=True, slots=True)
class RecallIndexes:
    items: ItemTable
    lexical: LexicalIndex
    semantic: VectorIndex
    behaviour: VectorIndex
    co_visit: CoVisitIndex
    popular: PopularIndex
    categories: CategoryIndex
    visual: VectorIndex | None = None  # None in a shop without pictures; zeros where an item has none

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
            CategoryIndex.open(layout.categories),
            VectorIndex.open(layout.visual) if layout.visual.exists() else None,
        )
        for name in ("lexical", "semantic", "behaviour", "co_visit", "popular", "categories", "visual"):
            index = getattr(indexes, name)
            if index is not None and len(index) != len(indexes.items):
                raise ReleaseError(
                    f"{layout.indexes}: {name} index of {len(index)} items, expected {len(indexes.items)}"
                )
        return indexes

    def looks(self, row: int) -> NDArray[np.float32] | None:
        """The image embedding of an item [image_dim]; None where it has no picture."""
        if self.visual is None or not self.visual.vectors[row].any():
            return None
        embedding: NDArray[np.float32] = self.visual.vectors[row].astype(np.float32)
        return embedding

    def search_visual(self, embedding: NDArray[np.float32], k: int, selection: Selection | None = None) -> Found:
        """The k items whose pictures look most like an image embedding [image_dim]."""
        if self.visual is None:
            return NOTHING
        found = self.visual.search(embedding, k, selection)
        seen = self.visual.vectors[found.rows].any(1)  # an item without a picture is a zero vector
        return Found(found.rows[seen], found.scores[seen])


def channel_scores(
    indexes: RecallIndexes, rows: NDArray[np.int32], query: RecallQuery
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The raw score of every channel for every candidate, and where a channel applies: ([c, K], [c, K]).

    Completes the channels: an item that only one channel found gets its score from the others, too. A channel without
    its input (no query, no history, ...) and an unknown candidate (row -1) have score 0 and mask 0; so has the visual
    channel of an item without a picture.
    """
    scores = np.zeros((len(rows), len(CHANNELS)), np.float32)
    mask = np.zeros((len(rows), len(CHANNELS)), np.float32)
    known = np.flatnonzero(rows >= 0)
    for name, column in _columns(indexes, rows[known], query).items():
        scores[known, CHANNEL_COLUMN[name]] = column
        mask[known, CHANNEL_COLUMN[name]] = 1.0
    if query.image_embedding is not None and indexes.visual is not None:
        mask[known, CHANNEL_COLUMN["visual"]] = indexes.visual.vectors[rows[known]].any(1)
    return scores, mask


def _columns(indexes: RecallIndexes, rows: NDArray[np.int32], query: RecallQuery) -> dict[str, NDArray[np.float32]]:
    columns = {"popular": indexes.popular.score(rows)}
    if query.query:
        columns["lexical"] = indexes.lexical.score(query.query, rows)
        columns["coverage"] = indexes.lexical.coverage(query.query, rows)
        if brands := indexes.lexical.read(query.query).brands:
            columns["brand"] = indexes.items.made_by(brands, rows).astype(np.float32)
    if query.text_embedding is not None:
        columns["semantic"] = indexes.semantic.score(query.text_embedding, rows)
        if query.query and not indexes.categories.is_empty:
            columns |= _category_columns(indexes, rows, query.query, query.text_embedding, columns)
    if query.image_embedding is not None and indexes.visual is not None:
        columns["visual"] = indexes.visual.score(query.image_embedding, rows)
    if query.behaviour_vector is not None:
        columns["behaviour"] = indexes.behaviour.score(query.behaviour_vector, rows)
    if (query.history_rows >= 0).any():
        columns["co_visit"] = indexes.co_visit.score(query.history_rows, query.history_weights, rows)
    return columns


def _category_columns(
    indexes: RecallIndexes,
    rows: NDArray[np.int32],
    query: str,
    embedding: NDArray[np.float32],
    columns: dict[str, NDArray[np.float32]],
) -> dict[str, NDArray[np.float32]]:
    """The category's score, and the coverage with it: an item of the category that is meant covers the query in other
    words."""
    nearest = float(columns["semantic"].max(initial=0.0))
    meant = indexes.categories.score(embedding, rows, nearest, indexes.lexical.read(query).key)
    return {"category": meant, "coverage": np.maximum(columns["coverage"], meant)}
