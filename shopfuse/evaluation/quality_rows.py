"""Rows of a quality table: from one ranking per topic to means with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.judgments import Topic
from shopfuse.metrics.ndcg import (
    bootstrap_interval,
    condensed_ndcg,
    ndcg,
    recall,
    reciprocal_rank,
    unjudged_share,
)


@dataclass(frozen=True, slots=True)
class Scores:
    """Per-topic values, in the order of the answerable topics; arrays [topics]."""

    ndcg: NDArray[np.float64]
    condensed: NDArray[np.float64]
    recall: NDArray[np.float64]
    mrr: NDArray[np.float64]
    unjudged: NDArray[np.float64]

    def row(self) -> dict[str, float]:
        """Means, with a 95 % bootstrap interval of NDCG@10 over topics."""
        low, high = bootstrap_interval(self.ndcg)
        condensed_low, condensed_high = bootstrap_interval(self.condensed)
        return {
            "ndcg@10": float(self.ndcg.mean()),
            "ndcg@10_low": low,
            "ndcg@10_high": high,
            "ndcg@10_condensed": float(self.condensed.mean()),
            "ndcg@10_condensed_low": condensed_low,
            "ndcg@10_condensed_high": condensed_high,
            "recall@100": float(self.recall.mean()),
            "mrr": float(self.mrr.mean()),
            "unjudged@10": float(self.unjudged.mean()),
            "queries": len(self.ndcg),
        }


def score_rankings(topics: Sequence[Topic], rankings: Sequence[Sequence[str]]) -> Scores:
    """Scores of answerable topics; a topic without a relevant item says nothing about a ranking."""
    pairs = [(topic.grades, ranking) for topic, ranking in zip(topics, rankings, strict=True) if topic.answerable]

    def values(measure: Callable[[Sequence[str], Mapping[str, float]], float]) -> NDArray[np.float64]:
        return np.array([measure(ranking, grades) for grades, ranking in pairs], dtype=np.float64)

    return Scores(*(values(measure) for measure in (ndcg, condensed_ndcg, recall, reciprocal_rank, unjudged_share)))
