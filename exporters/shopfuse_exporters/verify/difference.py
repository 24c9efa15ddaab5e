"""How far two answers to one question are apart, and whether that is within a tolerance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.tensors import Arrays, Submodel
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.precision.row_cosines import row_cosines
from shopfuse_exporters.verify.tolerances import Tolerance

SHORTEST_VECTOR = 1e-3  # the direction of a shorter one is noise
Question = Literal["torch", "neighbours", "padding"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one output in one case; cosines are of its rows."""

    question: Question
    case: str
    output: str
    max_abs: float
    cosine_min: float
    cosine_mean: float

    def excess(self, tolerance: Tolerance) -> str:
        """What is beyond the tolerance, in words; empty where nothing is."""
        largest = tolerance.max_abs if self.question == "torch" else getattr(tolerance, self.question)
        if self.max_abs > largest:
            return f"largest difference {self.max_abs:.3g} (allowed {largest:.3g})"
        for name, least in (("cosine_min", tolerance.cosine_min), ("cosine_mean", tolerance.cosine_mean)):
            if getattr(self, name) < least:
                return f"{name.replace('_', ' ')} {getattr(self, name):.6f} (at least {least})"
        return ""


def compare(
    question: Question, case: str, declaration: Submodel, expected: Arrays, actual: Arrays
) -> Iterator[Difference]:
    """One Difference for each output. Raises ParityError where a shape differs or an answer is not finite."""
    for tensor in declaration.outputs:
        left, right = expected[tensor.name].astype(np.float64), actual[tensor.name].astype(np.float64)
        where = f"{declaration.name}: output '{tensor.name}'"
        if left.shape != right.shape:
            raise ParityError(f"{where} has shape {right.shape} in case {case}, expected {left.shape}")
        for answer, who in ((left, "the reference" if question == "torch" else "the model"), (right, "the model")):
            if not np.isfinite(answer).all():
                raise ParityError(f"{where} is NaN or infinite in case {case}: {who} gives no numbers")
        largest = float(np.max(np.abs(left - right), initial=0.0))
        cosines = direction_cosines(left, right)
        yield Difference(
            question, case, tensor.name, largest, float(np.min(cosines, initial=1.0)), float(np.mean([*cosines] or 1.0))
        )


def direction_cosines(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the rows [n, ...] of two arrays that are long enough to have a direction; the others are left out."""
    lengths = [np.linalg.norm(values.reshape(len(values), -1), axis=1) for values in (left, right)]
    cosines: NDArray[np.float64] = row_cosines(left, right)[lengths[0] * lengths[1] > SHORTEST_VECTOR**2]
    return cosines
