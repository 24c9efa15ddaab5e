"""What every fused ranker must beat: popularity, item-kNN, BM25, plain embeddings, and the score-level fusions.

Scorers of judged cases: a case in, a score for every item out. They know the same events and texts as the models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.offline.judged_cases import JudgedCase, Scorer
from shopfuse.ranking.fusion import FUSION_METHODS, fuse
from shopfuse.recall.channels import channel_scores, pool
from shopfuse.recall.co_visit import CO_VISIT_INDEX
from shopfuse.recall.popular import POPULAR_INDEX
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.vector_channels import TEXT_INDEX
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.training.data.snapshot import Snapshot

FloatArray = NDArray[np.float32]
AsQuery = Callable[[JudgedCase], RecallQuery]

BASELINES = ("popularity", "item_knn", "bm25", "semantic", *FUSION_METHODS)
OUTSIDE = np.float32(-1e9)  # the score of items that are not in a pool


def baselines(snapshot: Snapshot, as_query: AsQuery) -> dict[str, Scorer]:
    """Every baseline by name. `as_query` gives a case as recall sees it; without history it gets what is popular."""
    indexes, texts = snapshot.indexes, snapshot.indexes[TEXT_INDEX]
    every = np.arange(len(indexes.items), dtype=np.int32)
    popular = indexes[POPULAR_INDEX].score(every)

    def item_knn(case: JudgedCase) -> FloatArray:
        query = as_query(case)
        related = indexes[CO_VISIT_INDEX].score(query.history_rows, query.history_weights, every)
        return _first(related, popular)

    def bm25(case: JudgedCase) -> FloatArray:
        return _first(indexes[LEXICAL_INDEX].score(case.query, every), popular)

    def semantic(case: JudgedCase) -> FloatArray:
        query = as_query(case)
        if query.text_embedding is not None:
            return texts.score(query.text_embedding, every)
        if not len(query.history_rows):
            return popular
        taste = query.history_weights @ texts.vectors[query.history_rows].astype(np.float32)
        return texts.score(taste.astype(np.float32), every)

    fused = {method: _score_fusion(method, snapshot, as_query) for method in FUSION_METHODS}
    return {"popularity": lambda case: popular, "item_knn": item_knn, "bm25": bm25, "semantic": semantic, **fused}


def _first(scores: FloatArray, otherwise: FloatArray) -> FloatArray:
    """`scores` first, and `otherwise` among those that they do not tell apart."""
    ordered: FloatArray = np.where(scores > 0, 2.0 + scores, otherwise).astype(np.float32)
    return ordered


def _score_fusion(method: str, snapshot: Snapshot, as_query: AsQuery) -> Scorer:
    indexes = snapshot.indexes

    def score(case: JudgedCase) -> FloatArray:
        query = as_query(case)
        rows = pool(indexes, query, case.surface, case.selection)
        relevance, _ = fuse(method, *channel_scores(indexes, rows, query), case.surface)
        return spread(rows, relevance, len(indexes.items))

    return score


def spread(rows: NDArray[np.int32], scores: FloatArray, items: int) -> FloatArray:
    """Scores of a pool as scores of the catalogue, [N]."""
    every = np.full(items, OUTSIDE, np.float32)
    every[rows] = scores
    return every
