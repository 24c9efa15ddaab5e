"""The parity reports of a manifest as rows for people and programs. Reads what was recorded, measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ParityRow:
    """One model; overlap and NDCG loss are None where it ranks nothing."""

    model: str
    precision: str
    cases: int
    max_abs: float
    cosine_min: float
    cosine_mean: float
    overlap: float | None
    ndcg_loss: float | None
    neighbours: float
    padding: float
    verdict: str  # "passed", or "accepted: why"


def parity_table(parity: Mapping[str, Any]) -> list[ParityRow]:
    """The rows of `manifest.parity`, in the order of the models' names."""
    return [_row(name, parity[name]) for name in sorted(parity)]


def _row(name: str, report: Mapping[str, Any]) -> ParityRow:
    ranking = report["ranking"] or {}
    return ParityRow(
        model=name,
        precision=report["precision"],
        cases=report["cases"],
        max_abs=report["max_abs_diff"],
        cosine_min=report["cosine_min"],
        cosine_mean=report["cosine_mean"],
        overlap=ranking.get("overlap"),
        ndcg_loss=ranking.get("ndcg_loss"),
        neighbours=report["neighbours"],
        padding=report["padding"],
        verdict="passed" if report["passed"] else f"accepted: {report['accepted']}",
    )
