"""AUC against hand-computed values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shopfuse.metrics.auc import auc


def test_auc_counts_pairs_in_the_right_order_and_ties_half() -> None:
    scores, labels = np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1])

    assert auc(scores, labels) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert auc(-scores, labels) == pytest.approx(1 - auc(scores, labels))
    assert math.isnan(auc(scores, np.zeros(4)))
