"""Measures of a classification against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from shopfuse.metrics.classification import hierarchical_f1, macro_f1


def test_macro_f1_and_hierarchical_f1_by_hand() -> None:
    predicted, truth = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])

    assert macro_f1(predicted, truth, 3) == pytest.approx((2 / 3 + 4 / 5) / 2)
    answers = [("Home", "Lamps"), ("Home",), ()]
    true = [("Home", "Sofas"), ("Home", "Sofas"), ("Sport",)]
    assert hierarchical_f1(answers, true) == pytest.approx(2 * 2 / (3 + 5))
