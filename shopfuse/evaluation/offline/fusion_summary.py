"""Results of fusion methods over several seeds as means with intervals, and paired leads of one over the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.offline.compare_fusions import MethodResult
from shopfuse.evaluation.offline.judged_measures import auc_draws, ece_draws
from shopfuse.metrics.ndcg import bootstrap_interval
from shopfuse.training.fusion.task_logits import TRAINED_TASKS

Floats = NDArray[np.float64]
Table = Mapping[str, MethodResult]
LEVEL = 0.95


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
        found = {
            kind: {name: {key: _plain(value) for key, value in asdict(figure).items()} for name, figure in part.items()}
            for kind, part in parts.items()
        }
        return {**found, "validation_ndcg": self.validation_ndcg}


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
    found = {}
    for name in methods:
        figures = {key: _of_cases(parts) for key, parts in values[name].items()}
        figures |= {key: _of_draws(parts) for key, parts in draws[name].items()}
        leads = {key: _of_cases(_minus(parts, values[name][key])) for key, parts in values[reference].items()}
        leads |= {key: _of_draws(_minus(parts, draws[name][key])) for key, parts in draws[reference].items()}
        found[name] = Summary(figures, leads, validation[name])
    return reference, found


def _values(tables: Sequence[Table], name: str) -> dict[str, list[Floats]]:
    """NDCGs of cases, one array for each seed."""
    results = [table[name] for table in tables]
    truth = {surface: [result.truth[surface] for result in results] for surface in results[0].truth}
    return {**truth, "lists": [result.lists for result in results]}


def _draws(tables: Sequence[Table], name: str) -> dict[str, list[Floats]]:
    """AUC and ECE of all lists and of draws of lists, one array for each seed."""
    judged = [table[name].judged for table in tables]
    found = {}
    for place, task in enumerate(TRAINED_TASKS):
        found[f"auc_{task}"] = [auc_draws(part, place) for part in judged]
        found[f"ece_{task}"] = [ece_draws(part, place) for part in judged]
    return found


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
