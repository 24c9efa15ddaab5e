"""Area under the ROC curve: do positives score above negatives?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
