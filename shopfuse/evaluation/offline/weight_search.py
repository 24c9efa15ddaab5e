"""Weights of the score-level fusion from judged queries, and how good weights chosen that way are on other queries.

Chosen on some queries, judged on those left out, in turn (cross-validation over queries). With few queries the best of
many weights is mostly luck: so the weights in use stay unless others are better by more than the chance of the
comparison. It trains nothing and looks at no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.metrics.ndcg import dcg
from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS

Floats = NDArray[np.float32]
Weights = Mapping[str, float]  # channel -> weight in a search

DEPTH = 10
FACTORS = (0.0, 0.5, 1.0, 2.0)  # by which each channel's weight is tried: fewer choices, less luck
MIN_GAIN = 2.0  # standard errors of the paired difference: the best of a thousand leads by one through luck alone


class WeightSearchError(ShopfuseError):
    """Judgments from which no weights can be chosen."""


@dataclass(frozen=True, slots=True)
class JudgedPool:
    """The candidates of one judged query: each channel's normalised opinion and mask, [c, K], and their grades."""

    opinions: Floats
    mask: Floats
    grades: NDArray[np.float64]  # [c], NaN where nobody judged
    judged: Sequence[float]  # the grades of all judged items of the query, candidates or not

    def measure(self, weights: Floats) -> tuple[float, float]:
        """NDCG@10 of the candidates by weights [K]: (over the whole catalogue, over the judged items alone)."""
        counted = weights * self.mask
        relevance = (counted * self.opinions).sum(1) / np.maximum(counted.sum(1), 1e-6)
        grades = self.grades[np.argsort(-relevance, kind="stable")]
        ideal = dcg(sorted(self.judged, reverse=True)[:DEPTH])
        condensed = grades[~np.isnan(grades)][:DEPTH]
        return dcg(np.nan_to_num(grades[:DEPTH]).tolist()) / ideal, dcg(condensed.tolist()) / ideal


@dataclass(frozen=True, slots=True)
class Fold:
    """NDCG@10 (whole, condensed) of the queries left out: by the weights that the others chose, and by those in use."""

    weights: Weights
    queries: int
    held_out: tuple[float, float]
    in_use: tuple[float, float]


@dataclass(frozen=True, slots=True)
class WeightSearch:
    folds: tuple[Fold, ...]
    chosen: Weights  # on all queries
    measured: tuple[float, float]  # by `chosen`, on the queries that chose it
    in_use: tuple[float, float]

    @property
    def held_out(self) -> tuple[float, float]:
        """NDCG@10 (whole, condensed) of all queries, each by weights that were chosen without it."""
        return self._mean([fold.held_out for fold in self.folds])

    def _mean(self, values: Sequence[tuple[float, float]]) -> tuple[float, float]:
        whole, condensed = np.average(values, axis=0, weights=[fold.queries for fold in self.folds])
        return float(whole), float(condensed)


def search_weights(pools: Sequence[JudgedPool], in_use: Weights, folds: int, seed: int = 0) -> WeightSearch:
    """Cross-validates the choice of weights over `folds` parts of the queries; raises WeightSearchError for too few."""
    if not 2 <= folds <= len(pools):
        raise WeightSearchError(f"--cross-validate: expected 2 to {len(pools)} folds (the judged queries), got {folds}")
    tried = candidates(in_use, pools)
    measured = np.array([[pool.measure(_array(weights)) for pool in pools] for weights in tried])  # [tried, queries, 2]
    parts = np.array_split(np.random.default_rng(seed).permutation(len(pools)), folds)
    every = np.arange(len(pools))
    held_out = [_fold(tried, measured, np.setdiff1d(every, part), part) for part in parts]
    best = choose(measured)
    return WeightSearch(tuple(held_out), tried[best], _means(measured[best]), _means(measured[0]))


def _fold(
    tried: Sequence[Weights], measured: NDArray[np.float64], known: NDArray[np.int64], left_out: NDArray[np.int64]
) -> Fold:
    best = choose(measured[:, known])
    return Fold(tried[best], len(left_out), _means(measured[best, left_out]), _means(measured[0, left_out]))


def candidates(in_use: Weights, pools: Sequence[JudgedPool]) -> list[Weights]:
    """The weights in use first, then every combination of factors for the channels that say something here."""
    telling = [name for name in CHANNELS if in_use.get(name, 0.0) > 0 and any(_tells(pool, name) for pool in pools)]
    combinations = (dict(zip(telling, factors, strict=True)) for factors in product(FACTORS, repeat=len(telling)))
    scaled = ({name: weight * by.get(name, 1.0) for name, weight in in_use.items()} for by in combinations)
    return [dict(in_use), *(weights for weights in scaled if any(weights[name] for name in telling))]


def _tells(pool: JudgedPool, name: str) -> bool:
    column = CHANNEL_COLUMN[name]
    return bool(np.ptp(pool.opinions[:, column] * pool.mask[:, column], axis=0)) if len(pool.opinions) else False


def choose(measured: NDArray[np.float64]) -> int:
    """Which of the tried weights, [tried, queries, 2], whose first are in use: the best in the mean of both measures,
    if it leads by more than MIN_GAIN standard errors, else the first."""
    value = measured.mean(2)  # [tried, queries]
    best = int(value.mean(1).argmax())
    gain = value[best] - value[0]
    error = float(gain.std(ddof=1)) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    return best if float(gain.mean()) > MIN_GAIN * error else 0


def _means(values: NDArray[np.float64]) -> tuple[float, float]:
    whole, condensed = values.mean(0)
    return float(whole), float(condensed)


def _array(weights: Weights) -> Floats:
    return np.array([weights.get(name, 0.0) for name in CHANNELS], np.float32)
