"""Quality of one ranking against grades: DCG and NDCG, recall, reciprocal rank, and how much of it was judged.

NDCG@k (Jarvelin and Kekalainen, 2002) with gain 2^grade - 1, discount 1 / log2(rank + 1), and the ideal taken over all
judged items of the query. Unjudged items have grade 0; the condensed variant removes them first (Sakai, 2007).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


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
