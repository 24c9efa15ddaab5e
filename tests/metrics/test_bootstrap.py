"""Bootstrap intervals cover what they should, and narrow with more data."""

from __future__ import annotations

import numpy as np

from shopfuse.metrics.bootstrap import bootstrap_interval


def test_bootstrap_interval_covers_the_mean_and_narrows_with_more_data() -> None:
    values = np.random.default_rng(1).random(2000)
    low, high = bootstrap_interval(values)
    few_low, few_high = bootstrap_interval(values[:50])

    assert low < values.mean() < high
    assert high - low < few_high - few_low
