"""Results of fusion methods over several seeds as means with intervals, and paired leads of one over the others.

AUC and ECE are bootstrapped over whole lists: what was shown together is one draw, and the draws are the same for all
methods of a shop, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.offline.compare_fusions import JudgedImpressions, MethodResult
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.training.fusion.task_logits import TRAINED_TASKS

Floats = NDArray[np.float64]
Table = Mapping[str, MethodResult]
LEVEL = 0.95
ROUNDS = 300  # draws of lists
BINS = 15  # of an ECE


@dataclass(frozen=True, slots=True)
class Figure:
    mean: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()  # of each seed


@dataclass(frozen=True, slots=True)
class Summary:
    """One method. Figures are search, recommend, lists (NDCG@10), auc_TASK and ece_TASK; `leads` those of the
    reference over it, on the same cases and draws."""

    figures: dict[str, Figure]
    leads: dict[str, Figure]
    validation_ndcg: float

    def document(self) -> dict[str, Any]:
        """For JSON; what is not defined is null."""
        parts = {"figures": self.figures, "reference_leads_by": self.leads}
        documents = {
            kind: {name: {key: _plain(value) for key, value in asdict(figure).items()} for name, figure in part.items()}
            for kind, part in parts.items()
        }
        return {**documents, "validation_ndcg": self.validation_ndcg}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if np.isnan(value) else value


def summaries(tables: Sequence[Table]) -> tuple[str, dict[str, Summary]]:
    """(the reference: the best on validation lists over all seeds, a summary of each method)."""
    methods = list(tables[0])
    validation = {name: float(np.mean([table[name].validation_ndcg for table in tables])) for name in methods}
    reference = max(methods, key=lambda name: validation[name])
    values = {name: _values(tables, name) for name in methods}
    draws = {name: _draws(tables, name) for name in methods}
    by_method = {}
    for name in methods:
        figures = {key: _of_cases(parts) for key, parts in values[name].items()}
        figures |= {key: _of_draws(parts) for key, parts in draws[name].items()}
        leads = {key: _of_cases(_minus(parts, values[name][key])) for key, parts in values[reference].items()}
        leads |= {key: _of_draws(_minus(parts, draws[name][key])) for key, parts in draws[reference].items()}
        by_method[name] = Summary(figures, leads, validation[name])
    return reference, by_method


def _values(tables: Sequence[Table], name: str) -> dict[str, list[Floats]]:
    """NDCGs of cases, one array for each seed."""
    results = [table[name] for table in tables]
    truth = {surface: [result.truth[surface] for result in results] for surface in results[0].truth}
    return {**truth, "lists": [result.lists for result in results]}


def _draws(tables: Sequence[Table], name: str) -> dict[str, list[Floats]]:
    """AUC and ECE of all lists and of draws of lists, one array for each seed."""
    judged = [table[name].judged for table in tables]
    draws = {}
    for place, task in enumerate(TRAINED_TASKS):
        draws[f"auc_{task}"] = [auc_draws(part, place) for part in judged]
        draws[f"ece_{task}"] = [ece_draws(part, place) for part in judged]
    return draws


def _minus(first: list[Floats], second: list[Floats]) -> list[Floats]:
    return [left - right for left, right in zip(first, second, strict=True)]


def _of_cases(parts: list[Floats]) -> Figure:
    pooled = np.concatenate(parts)
    return Figure(float(pooled.mean()), *bootstrap_interval(pooled), tuple(float(part.mean()) for part in parts))


def _of_draws(parts: list[Floats]) -> Figure:
    """The first of each array is the figure itself; the seeds' mean is drawn seed by seed."""
    table = np.mean(parts, axis=0)
    seeds = tuple(float(part[0]) for part in parts)
    if np.isnan(table[0]):
        return Figure(float("nan"), float("nan"), float("nan"), seeds)
    low, high = np.nanquantile(table[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(float(table[0]), float(low), float(high), seeds)


def auc_draws(judged: JudgedImpressions, task: int, *, seed: int = 0) -> Floats:
    """The AUC of the served scores for one task: of all lists, then of each draw, [1 + ROUNDS]; NaN where a draw lacks
    positives or negatives. Ties count half."""
    _, level = np.unique(judged.scores[:, task], return_inverse=True)
    positive = judged.outcome[:, task]
    return np.array([_weighted_auc(level, positive, weight) for weight in _weights(judged, seed)])


def _weighted_auc(level: NDArray[np.int64], positive: NDArray[np.bool_], weight: Floats) -> float:
    hits, misses = np.bincount(level, weight * positive), np.bincount(level, weight * ~positive)
    below = np.cumsum(misses) - misses / 2.0
    total = hits.sum() * misses.sum()
    return float((hits * below).sum() / total) if total > 0 else float("nan")


def ece_draws(judged: JudgedImpressions, task: int, *, seed: int = 0) -> Floats:
    """The expected calibration error of one task's probabilities: of all lists, then of each draw, [1 + ROUNDS].

    Bins hold equal numbers of impressions and stay those of all lists. A draw is noisier than the whole, so that an
    interval of draws lies a little high. NaN for a method without probabilities.
    """
    if judged.probabilities is None:
        return np.full(1 + ROUNDS, np.nan)
    chance, happened = judged.probabilities[:, task], judged.outcome[:, task]
    place = np.empty(len(chance), np.int64)
    place[np.argsort(chance, kind="stable")] = np.arange(len(chance)) * BINS // max(len(chance), 1)
    return np.array([_weighted_ece(place, chance - happened, weight) for weight in _weights(judged, seed)])


def _weighted_ece(place: NDArray[np.int64], excess: Floats, weight: Floats) -> float:
    return float(np.abs(np.bincount(place, weight * excess)).sum() / max(weight.sum(), 1e-9))


def _weights(judged: JudgedImpressions, seed: int) -> list[Floats]:
    """The impressions' weights in all lists and in each draw of lists."""
    count = int(judged.list_of.max(initial=-1)) + 1
    random = np.random.default_rng(seed)
    draws = [np.bincount(random.integers(0, count, count), minlength=count) for _ in range(ROUNDS)]
    return [judged.weight, *(judged.weight * drawn[judged.list_of] for drawn in draws)]
