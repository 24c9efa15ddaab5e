"""How far the first ten of a ranking change when the scores come from another model: what the ranking gate measures.

The gain of an item is the reference's own score, so that a swap of two items which the reference finds equally good
costs nothing; ranks as gains called near-duplicates of a catalogue a loss ten times as large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.metrics.ndcg import dcg
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.verify.tolerances import RankingBound

TOP = 10
TIE = 1e-6  # scores that are nearer are equal: fp32 in another order of additions


@dataclass(frozen=True, slots=True)
class RankingReport:
    """Means over the queries, and the query with the largest loss."""

    queries: int
    items: int  # that each query ranks
    overlap: float  # share of the first ten that the reference, too, has among its first ten
    overlap_min: float
    ndcg_loss: float
    worst_query: str

    def excess(self, bound: RankingBound) -> str:
        """What is beyond the bound, in words; empty where nothing is. NaN is beyond any."""
        if not self.overlap >= bound.overlap:
            return f"top-{TOP} overlap {self.overlap:.3f} (at least {bound.overlap})"
        if not self.ndcg_loss <= bound.ndcg_loss:
            return f"NDCG@{TOP} loss {self.ndcg_loss:.4f} (at most {bound.ndcg_loss})"
        return ""


def compare_rankings(
    model: str, queries: Sequence[str], reference: NDArray[np.float64], actual: NDArray[np.float64]
) -> RankingReport:
    """Of scores [queries, items] by the reference and by the model. Raises ParityError where there is nothing to rank
    or a score is not finite."""
    if reference.size == 0:
        raise ParityError(f"{model}: the golden set is empty ({len(queries)} queries): no ranking can be compared")
    if not np.isfinite(actual).all():
        raise ParityError(f"{model}: a score of the golden queries is NaN or infinite")
    pairs = list(zip(reference, actual, strict=True))
    overlaps = [_overlap(left, right) for left, right in pairs]
    losses = [_ndcg_loss(left, right) for left, right in pairs]
    return RankingReport(
        queries=len(queries),
        items=reference.shape[1],
        overlap=float(np.mean(overlaps)),
        overlap_min=float(np.min(overlaps)),
        ndcg_loss=float(np.mean(losses)),
        worst_query=queries[int(np.argmax(losses))],
    )


def _top(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argsort(-scores, kind="stable")[:TOP]


def _overlap(reference: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    least = reference[_top(reference)].min() - TIE
    return float((reference[_top(actual)] >= least).mean())


def _ndcg_loss(reference: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """0..1; 0 where the reference finds all items equal. `dcg` takes grades, whose gain is 2^grade - 1."""
    grades = np.log2(1.0 + reference - reference.min())
    ideal = dcg(grades[_top(reference)].tolist())
    return 1.0 - dcg(grades[_top(actual)].tolist()) / ideal if ideal > TIE else 0.0
