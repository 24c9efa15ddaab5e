"""Bootstrap intervals cover what they should, and narrow with more data."""

from __future__ import annotations

import numpy as np

from shopfuse.metrics.bootstrap import bootstrap_interval, bootstrap_intervals


def test_bootstrap_interval_covers_the_mean_and_narrows_with_more_data() -> None:
    values = np.random.default_rng(1).random(2000)
    low, high = bootstrap_interval(values)
    few_low, few_high = bootstrap_interval(values[:50])

    assert low < values.mean() < high
    assert high - low < few_high - few_low


def test_intervals_of_many_columns_are_those_of_each_alone() -> None:
    columns = np.random.default_rng(2).random((37, 3))

    together = bootstrap_intervals(columns, rounds=200)

    np.testing.assert_allclose(together, [bootstrap_interval(column, rounds=200) for column in columns.T], rtol=1e-12)
    assert bootstrap_intervals(columns[:0]).tolist() == [[0.0, 0.0]] * 3
