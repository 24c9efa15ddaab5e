"""How large a value may be before it is no ordinary one: the median and its median deviation, on a log scale.

Neither moves when a few values are absurd, which is what mean and standard deviation do. Counts and prices are long-
tailed: on a log scale a heavy but ordinary shopper lies a few deviations above the median, a machine far above.
"""

from __future__ import annotations

import numpy as np
import polars as pl

DEVIATIONS = 8.0
_NORMAL = 1.4826  # the standard deviation of a normal distribution over its median deviation


def largest_ordinary(values: pl.Series, least: float, deviations: float = DEVIATIONS) -> float:
    """The bound for non-negative `values`: so many deviations above the median, never below `least`."""
    if values.is_empty():
        return least
    logs = np.log1p(values.to_numpy().astype(np.float64))
    middle = float(np.median(logs))
    spread = _NORMAL * float(np.median(np.abs(logs - middle)))
    return max(least, float(np.expm1(middle + deviations * spread)))
