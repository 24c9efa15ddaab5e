"""AUC and ECE of a method's held-out impressions, with bootstrap draws of whole lists: what was shown together is one
draw, and the same draws for all methods of a shop, so that differences are paired.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.offline.compare_fusions import Judged

ROUNDS = 300
BINS = 15
Floats = NDArray[np.float64]


def auc_draws(judged: Judged, task: int, *, seed: int = 0) -> Floats:
    """The AUC of the served scores for one task: of all lists, then of each draw, [1 + ROUNDS]; NaN where a draw lacks
    positives or negatives. Ties count half."""
    _, level = np.unique(judged.scores[:, task], return_inverse=True)
    positive = judged.outcome[:, task]
    return np.array([_weighted_auc(level, positive, weight) for weight in _weights(judged, seed)])


def _weighted_auc(level: NDArray[np.int64], positive: NDArray[np.bool_], weight: Floats) -> float:
    hits, misses = np.bincount(level, weight * positive), np.bincount(level, weight * ~positive)
    below = np.cumsum(misses) - misses / 2.0
    total = hits.sum() * misses.sum()
    return float((hits * below).sum() / total) if total > 0 else float("nan")


def ece_draws(judged: Judged, task: int, *, seed: int = 0) -> Floats:
    """The expected calibration error of one task's probabilities: of all lists, then of each draw, [1 + ROUNDS].

    Bins hold equal numbers of impressions and stay those of all lists. A draw is noisier than the whole, so that an
    interval of draws lies a little high. NaN for a method without probabilities.
    """
    if judged.probabilities is None:
        return np.full(1 + ROUNDS, np.nan)
    chance, happened = judged.probabilities[:, task], judged.outcome[:, task]
    place = np.empty(len(chance), np.int64)
    place[np.argsort(chance, kind="stable")] = np.arange(len(chance)) * BINS // max(len(chance), 1)
    return np.array([_weighted_ece(place, chance - happened, weight) for weight in _weights(judged, seed)])


def _weighted_ece(place: NDArray[np.int64], excess: Floats, weight: Floats) -> float:
    return float(np.abs(np.bincount(place, weight * excess)).sum() / max(weight.sum(), 1e-9))


def _weights(judged: Judged, seed: int) -> list[Floats]:
    """The impressions' weights in all lists and in each draw of lists."""
    count = int(judged.list_of.max(initial=-1)) + 1
    random = np.random.default_rng(seed)
    draws = [np.bincount(random.integers(0, count, count), minlength=count) for _ in range(ROUNDS)]
    return [judged.weight, *(judged.weight * drawn[judged.list_of] for drawn in draws)]
