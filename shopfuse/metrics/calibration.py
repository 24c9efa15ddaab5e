"""Calibration: do probabilities mean what they say? Reliability bins, ECE, and the predicted / observed ratio.

Measures only; nothing here changes a probability. Bins hold equal numbers of predictions: rare events would leave most
bins of equal width empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.metrics.bootstrap import bootstrap_draws

Floats = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.bool_] | NDArray[np.int64] | NDArray[np.float32] | NDArray[np.float64]
BINS = 15


@dataclass(frozen=True, slots=True)
class Reliability:
    """One row for each bin, by rising probability; arrays [bins]."""

    predicted: NDArray[np.float64]  # mean probability
    observed: NDArray[np.float64]  # share of positives
    count: NDArray[np.int64]


def reliability(probabilities: Floats, labels: Labels, bins: int = BINS) -> Reliability:
    """Bins of equal numbers of predictions. `probabilities` and `labels` (0 or 1) are [n]; fewer than n bins are full.

    Equal probabilities stay together, so that a model with few distinct answers has few bins.
    """
    if len(probabilities) == 0:
        return Reliability(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    order = np.argsort(probabilities, kind="stable")
    chance, hit = np.asarray(probabilities, np.float64)[order], np.asarray(labels, np.float64)[order]
    place = np.arange(len(chance)) * bins // len(chance)
    first_of_tie = np.searchsorted(chance, chance, side="left")
    _, bin_of = np.unique(place[first_of_tie], return_inverse=True)
    count = np.bincount(bin_of)
    return Reliability(np.bincount(bin_of, chance) / count, np.bincount(bin_of, hit) / count, count.astype(np.int64))


def expected_calibration_error(probabilities: Floats, labels: Labels, bins: int = BINS) -> float:
    """Mean distance between predicted and observed over the bins, weighted by their sizes: 0 is perfect.

    Naeini, Cooper and Hauskrecht (2015), with bins of equal mass (Nguyen and O'Connor, 2015). 0 where there is nothing.
    """
    table = reliability(probabilities, labels, bins)
    distance = np.abs(table.predicted - table.observed)
    return float(np.average(distance, weights=table.count)) if len(distance) else 0.0


def observed_ratio(probabilities: Floats, labels: Labels) -> float:
    """Sum of the predictions over the number of positives: 1 is right, 2 promises twice too much; NaN without any."""
    positives = float(np.asarray(labels, np.float64).sum())
    return float(np.asarray(probabilities, np.float64).sum()) / positives if positives > 0 else float("nan")


def observed_ratio_interval(
    probabilities: Floats,
    labels: Labels,
    groups: NDArray[np.int32] | NDArray[np.int64],
    *,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `observed_ratio` over groups (lists): what was shown together is one draw."""
    _, group = np.unique(groups, return_inverse=True)
    predicted, observed = np.bincount(group, probabilities), np.bincount(group, np.asarray(labels, np.float64))
    if observed.sum() == 0:
        return float("nan"), float("nan")
    draws = bootstrap_draws(len(observed), seed=seed)
    ratios = predicted[draws].sum(1) / np.maximum(observed[draws].sum(1), 1e-12)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def log_loss(probabilities: Floats, labels: Labels) -> float:
    """Mean negative log likelihood in nats; 0 where there is nothing. Probabilities are kept off 0 and 1 by 1e-7."""
    if len(probabilities) == 0:
        return 0.0
    chance = np.clip(np.asarray(probabilities, np.float64), 1e-7, 1 - 1e-7)
    return float(-np.where(np.asarray(labels, np.float64) > 0, np.log(chance), np.log1p(-chance)).mean())


def wilson_interval(hits: int, count: int, *, deviations: float = 1.96) -> tuple[float, float]:
    """Interval of a share (Wilson, 1927): sound for few cases and near 0 and 1; (0, 1) where there is nothing."""
    if count == 0:
        return 0.0, 1.0
    share, spread = hits / count, deviations**2 / count
    middle = (share + spread / 2) / (1 + spread)
    reach = deviations / (1 + spread) * float(np.sqrt(share * (1 - share) / count + spread / (4 * count)))
    return max(0.0, middle - reach), min(1.0, middle + reach)
