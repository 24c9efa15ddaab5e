"""Ranking quality: NDCG, recall, MRR, AUC, and bootstrap confidence intervals.

NDCG@k (Jarvelin and Kekalainen, 2002) with gain 2^grade - 1, discount 1 / log2(rank + 1), and the ideal taken over all
judged items of the query. Unjudged items have grade 0; the condensed variant removes them first (Sakai, 2007).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def dcg(grades: Sequence[float]) -> float:
    gains = np.exp2(np.asarray(grades, dtype=np.float64)) - 1.0
    return float((gains / np.log2(np.arange(len(gains)) + 2.0)).sum())


def ndcg(ranking: Sequence[str], grades: Mapping[str, float], k: int = 10) -> float:
    """NDCG@k of a ranking of item ids, 0..1; 0 where no item is relevant."""
    ideal = dcg(sorted(grades.values(), reverse=True)[:k])
    return dcg([grades.get(item, 0.0) for item in ranking[:k]]) / ideal if ideal > 0 else 0.0


def condensed_ndcg(ranking: Sequence[str], grades: Mapping[str, float], k: int = 10) -> float:
    """NDCG@k after the items without a judgement are removed."""
    return ndcg([item for item in ranking if item in grades], grades, k)


def recall(ranking: Sequence[str], grades: Mapping[str, float], k: int = 100) -> float:
    """Share of the relevant items (grade > 0) among the first k."""
    relevant = {item for item, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, float]) -> float:
    return next((1.0 / rank for rank, item in enumerate(ranking, 1) if grades.get(item, 0) > 0), 0.0)


def unjudged_share(ranking: Sequence[str], grades: Mapping[str, float], k: int = 10) -> float:
    top = ranking[:k]
    return sum(item not in grades for item in top) / len(top) if top else 0.0


def auc(
    scores: NDArray[np.float32] | NDArray[np.float64],
    labels: NDArray[np.bool_] | NDArray[np.int64] | NDArray[np.float32] | NDArray[np.float64],
) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half; NaN without both.

    `scores` and `labels` (0 or 1) are [n]. By the rank sum (Hanley and McNeil, 1982).
    """
    positive = np.asarray(labels, np.float64) > 0
    hits, misses = int(positive.sum()), int((~positive).sum())
    if hits == 0 or misses == 0:
        return float("nan")
    _, inverse, counts = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2.0  # the mean rank of each distinct score, from 1
    return float((middle[inverse][positive].sum() - hits * (hits + 1) / 2.0) / (hits * misses))


def bootstrap_draws(count: int, *, seed: int = 0, rounds: int = 2000) -> NDArray[np.int64]:
    """Places drawn with replacement, [rounds, count]: the same for the same count and seed, so that rows are paired."""
    return np.random.default_rng(seed).integers(0, count, size=(rounds, count))


def bootstrap_interval(
    values: NDArray[np.float64], *, seed: int = 0, rounds: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over queries or users (Efron, 1979)."""
    if len(values) == 0:
        return (0.0, 0.0)
    means = np.asarray(values)[bootstrap_draws(len(values), seed=seed, rounds=rounds)].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
