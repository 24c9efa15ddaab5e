"""Calibration measures against hand-computed values, and against planted miscalibration."""

import math

import numpy as np
import pytest

from shopfuse.metrics.calibration import (
    expected_calibration_error,
    log_loss,
    observed_ratio,
    observed_ratio_interval,
    reliability,
    wilson_interval,
)


def test_bins_hold_equal_numbers_and_their_means() -> None:
    table = reliability(np.array([0.1, 0.2, 0.8, 0.6]), np.array([0, 1, 1, 1]), bins=2)

    assert table.predicted.tolist() == pytest.approx([0.15, 0.7])
    assert table.observed.tolist() == [0.5, 1.0]
    assert table.count.tolist() == [2, 2]


def test_equal_probabilities_are_never_split() -> None:
    table = reliability(np.full(9, 0.3), np.array([1, 1, 1, 0, 0, 0, 0, 0, 0]), bins=3)

    assert table.count.tolist() == [9]
    assert table.observed[0] == pytest.approx(1 / 3)


def test_ece_is_the_weighted_distance_of_the_bins() -> None:
    error = expected_calibration_error(np.array([0.1, 0.2, 0.8, 0.6]), np.array([0, 1, 1, 1]), bins=2)

    assert error == pytest.approx((2 * 0.35 + 2 * 0.3) / 4)


def test_planted_miscalibration_is_seen() -> None:
    random = np.random.default_rng(0)
    chance = random.uniform(0.05, 0.45, 20_000)
    labels = random.random(20_000) < chance

    assert expected_calibration_error(chance, labels) < 0.02
    assert expected_calibration_error(2 * chance, labels) == pytest.approx(0.25, abs=0.02)
    assert observed_ratio(2 * chance, labels) == pytest.approx(2.0, rel=0.03)


def test_ratio_is_predictions_over_positives() -> None:
    assert observed_ratio(np.array([0.5, 0.5, 1.0]), np.array([1, 0, 0])) == pytest.approx(2.0)
    assert math.isnan(observed_ratio(np.array([0.5]), np.array([0])))


def test_the_interval_of_the_ratio_treats_a_list_as_one_draw() -> None:
    random = np.random.default_rng(1)
    lists = np.repeat(np.arange(200), 12)
    chance = np.full(len(lists), 0.2)
    alone = random.random(len(lists)) < 0.2
    together = np.repeat(random.random(200) < 0.2, 12)

    low, high = observed_ratio_interval(chance, alone, lists)
    wide_low, wide_high = observed_ratio_interval(chance, together, lists)

    assert low < observed_ratio(chance, alone) < high
    assert wide_high - wide_low > 2 * (high - low)


def test_log_loss_of_a_fair_coin_is_the_logarithm_of_2() -> None:
    assert log_loss(np.array([0.5, 0.5]), np.array([1, 0])) == pytest.approx(math.log(2))
    assert log_loss(np.zeros(0), np.zeros(0)) == 0.0


def test_nothing_to_measure_is_zero() -> None:
    assert expected_calibration_error(np.zeros(0), np.zeros(0)) == 0.0


def test_interval_of_a_share_stays_within_bounds_and_narrows() -> None:
    low, high = wilson_interval(50, 100)

    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-4)  # Brown, Cai and DasGupta (2001)
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(0, 0) == (0.0, 1.0)
