"""How far a model may be from its torch fp32 module, by precision and kind of output, and how far its rankings may be.

Every bound is a measurement with room: two to four times the worst that an honest model gave, and far below what a
broken one gives (docs/decisions.md has the numbers). fp32 is bounded by the declaration itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.precision.precisions import FULL, PRECISIONS

Kind = Literal["vector", "probability", "weight"]
LEAST_COSINE = 0.9999  # of fp32


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Of one output. Cosines are of whole rows; `neighbours` and `padding` bound what other rows of the batch, and
    masked positions, may change."""

    max_abs: float
    cosine_min: float
    cosine_mean: float
    neighbours: float
    padding: float


@dataclass(frozen=True, slots=True)
class RankingBound:
    """Means over the golden queries: the least overlap of the first ten, the largest loss of NDCG@10."""

    overlap: float
    ndcg_loss: float


# Vectors are judged by their cosines first: how large one number's difference may be depends on how many there are.
# int8 with dynamic quantisation has one scale of activations for a whole batch, so a row depends on its neighbours and
# on padding nearly as much as on the quantisation itself; with a static scale, and in fp16, it does not.
TOLERANCES: dict[str, dict[Kind, Tolerance]] = {
    "fp16": {
        "vector": Tolerance(0.002, 0.9999, 0.99995, 0.002, 0.002),
        "probability": Tolerance(0.002, 0.9999, 0.99995, 0.002, 0.002),
        "weight": Tolerance(0.002, 0.9999, 0.99995, 0.002, 0.002),
    },
    "int8": {
        "vector": Tolerance(0.10, 0.97, 0.99, 0.05, 0.05),
        "probability": Tolerance(0.10, 0.99, 0.995, 0.05, 0.05),
        "weight": Tolerance(0.05, 0.99, 0.995, 0.05, 0.05),
    },
    "int8_static": {
        "vector": Tolerance(0.10, 0.97, 0.99, 0.001, 0.001),
        "probability": Tolerance(0.20, 0.97, 0.99, 0.001, 0.001),
        "weight": Tolerance(0.05, 0.99, 0.995, 0.001, 0.001),
    },
}
# Scales are fitted to the rows that a model was calibrated with: it is judged on real rows where there are any. Random
# ones, which no shop sends, lie outside (a user tower with static scales that is right for every user of its shop gives
# noise a cosine of 0.6).
QUANTISED = frozenset({"int8", "int8_static"})
RANKING_BOUNDS = {
    "fp32": RankingBound(0.99, 0.0001),
    "fp16": RankingBound(0.98, 0.0005),
    "int8": RankingBound(0.90, 0.005),
    "int8_static": RankingBound(0.90, 0.005),
}


def tolerance(declaration: Submodel, output: str, precision: str) -> Tolerance:
    """What `output` of the model may differ in `precision`. Raises ParityError for an unknown precision."""
    if precision == FULL:
        declared = declaration.tolerance
        return Tolerance(declared, LEAST_COSINE, LEAST_COSINE, declared, declared)
    return TOLERANCES[known(precision)][kind_of(output)]


def ranking_bound(precision: str) -> RankingBound:
    return RANKING_BOUNDS[known(precision)]


def known(precision: str) -> str:
    """`precision` itself; raises ParityError where no tolerance was ever measured for it."""
    if precision not in PRECISIONS:
        raise ParityError(f"precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    return precision


def kind_of(output: str) -> Kind:
    """By the names of ranking.tensors."""
    if output.endswith("_probabilities"):
        return "probability"
    return "weight" if output.endswith("_weights") else "vector"
