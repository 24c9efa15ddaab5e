"""Beyond-accuracy measures against hand-computed values."""

import math

import numpy as np
import pytest

from shopfuse.metrics.diversity import coverage, entropy, exposure, gini, intra_list_diversity, novelty, surprise


def test_exposure_counts_every_time_an_item_is_shown() -> None:
    exposures = exposure([np.array([0, 1]), np.array([1, 3])], items=5)

    assert exposures.tolist() == [1, 2, 0, 1, 0]
    assert coverage(exposures) == pytest.approx(3 / 5)
    assert exposure([], items=2).tolist() == [0, 0]


def test_gini_is_zero_for_equal_and_near_one_for_one_winner() -> None:
    assert gini(np.array([3, 3, 3, 3])) == pytest.approx(0.0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(3 / 4)
    assert gini(np.array([1, 3])) == pytest.approx(1 / 4)
    assert gini(np.zeros(4, np.int64)) == 0.0


def test_novelty_is_the_mean_self_information() -> None:
    bits = surprise(np.array([3, 0, 0, 1]))  # smoothed to 4, 1, 1, 2 of 8

    assert bits.tolist() == pytest.approx([1.0, 3.0, 3.0, 2.0])
    assert novelty(np.array([0, 3]), bits) == pytest.approx(1.5)
    assert novelty(np.zeros(0, np.int64), bits) == 0.0


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    vectors = np.array([[1, 0], [2, 0], [0, 1]], np.float32)

    assert intra_list_diversity(vectors) == pytest.approx((0 + 1 + 1) / 3)
    assert intra_list_diversity(vectors[:1]) == 0.0
    assert intra_list_diversity(np.array([[1, 0], [0, 0]], np.float32)) == pytest.approx(1.0)


def test_entropy_is_in_bits_and_zero_for_a_single_category() -> None:
    assert entropy(np.array([7, 7, 7])) == 0.0
    assert entropy(np.array([1, 2, 3, 4])) == pytest.approx(2.0)
    assert entropy(np.array([1, 1, 2])) == pytest.approx(math.log2(3) - 2 / 3)
