"""Cosines between the rows of two answers: precisions are chosen by them, every exported model is judged by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def row_cosines(left: NDArray[np.generic], right: NDArray[np.generic]) -> NDArray[np.float64]:
    """Of every row [n, ...]; 1 where both are 0, NaN where either has one."""
    a, b = (values.reshape(len(values), -1).astype(np.float64) for values in (left, right))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~(a.any(axis=1) | b.any(axis=1))
    dots = np.einsum("nd,nd->n", a, b)
    cosines: NDArray[np.float64] = np.where(both_zero, 1.0, dots / np.where(norms == 0.0, 1.0, norms))
    return cosines
