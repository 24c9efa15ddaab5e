"""Sets of cases, what each row ranks for them, and how good that is: computed once, read by every section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.offline.baselines import OUTSIDE
from shopfuse.evaluation.offline.judged_cases import JudgedCase, Scorer
from shopfuse.metrics.ndcg import dcg
from shopfuse.recall.channels import POOL

K = 10
DEEP = 100  # of recall
Ranking = NDArray[np.int32]  # rows, best first


@dataclass(frozen=True, slots=True)
class CaseSet:
    """Cases of one surface and one source: "truth" (the simulator's) or "held-out" (the log's)."""

    surface: str
    source: str
    cases: list[JudgedCase]
    queries: NDArray[np.float32]  # text embeddings [n, D], zeros where there is no query

    @property
    def name(self) -> str:
        return f"{self.surface}, {self.source}"

    def __len__(self) -> int:
        return len(self.cases)


@dataclass(frozen=True, slots=True)
class Measures:
    """One value for each case, [n]."""

    ndcg: NDArray[np.float64]  # @10
    recall: NDArray[np.float64]  # @100
    reciprocal_rank: NDArray[np.float64]


def best_rows(case: JudgedCase, scores: NDArray[np.float32], most: int = POOL) -> Ranking:
    """The allowed items that were scored, best first, a product once, at most `most`; equal scores by row."""
    rows = np.flatnonzero(case.allowed & (scores > OUTSIDE)).astype(np.int32)
    return case.products(rows[np.argsort(-scores[rows], kind="stable")])[:most]


def rank_all(cases: Sequence[JudgedCase], scorer: Scorer) -> list[Ranking]:
    return [best_rows(case, scorer(case)) for case in cases]


def ndcg_of(grades: NDArray[np.float32], ranking: Ranking) -> float:
    """NDCG@10 with the ideal over all grades [N]; 0 where nothing is relevant."""
    ideal = dcg(np.sort(grades)[::-1][:K].tolist())
    return dcg(grades[ranking[:K]].tolist()) / ideal if ideal > 0 else 0.0


def recall_of(grades: NDArray[np.float32], ranking: Ranking, depth: int = DEEP) -> float:
    relevant = int((grades > 0).sum())
    return float((grades[ranking[:depth]] > 0).sum()) / relevant if relevant else 0.0


def measures(cases: Sequence[JudgedCase], rankings: Sequence[Ranking]) -> Measures:
    pairs = [(case.grades, ranking) for case, ranking in zip(cases, rankings, strict=True)]
    return Measures(
        np.array([ndcg_of(*pair) for pair in pairs], np.float64),
        np.array([recall_of(*pair) for pair in pairs], np.float64),
        np.array([_reciprocal_rank(*pair) for pair in pairs], np.float64),
    )


def _reciprocal_rank(grades: NDArray[np.float32], ranking: Ranking) -> float:
    hits = np.flatnonzero(grades[ranking] > 0)
    return 1.0 / (1.0 + float(hits[0])) if len(hits) else 0.0


@dataclass(frozen=True, slots=True)
class ScoredCases:
    """A set of cases with the rankings and measures of every row."""

    cases: CaseSet
    rankings: Mapping[str, list[Ranking]]
    measures: Mapping[str, Measures]


def scored(cases: CaseSet, rankings: Mapping[str, list[Ranking]]) -> ScoredCases:
    return ScoredCases(cases, rankings, {name: measures(cases.cases, row) for name, row in rankings.items()})
