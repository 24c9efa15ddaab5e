"""Bootstrap confidence intervals over queries, users or texts (Efron, 1979)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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


def bootstrap_intervals(
    columns: NDArray[np.float64], *, seed: int = 0, rounds: int = 2000, level: float = 0.95
) -> NDArray[np.float64]:
    """What `bootstrap_interval` says of each column [n, c], all by the same draws: [c, 2]. For many users at once."""
    count = len(columns)
    if count == 0:
        return np.zeros((columns.shape[1], 2))
    random = np.random.default_rng(seed)
    means = np.empty((rounds, columns.shape[1]))
    for mean in means:
        times = np.bincount(random.integers(0, count, size=count), minlength=count)
        mean[:] = times @ columns / count
    intervals: NDArray[np.float64] = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0).T
    return intervals
