"""What a report is made of: estimates, tables, plots and sections, as plain values that any renderer can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.metrics.bootstrap import bootstrap_interval

FEW = 30  # cases, below which a figure says little and is marked


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `count` cases, and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def is_thin(self) -> bool:
        return self.count < FEW


def estimate(values: NDArray[np.float64], seed: int) -> Estimate:
    """The mean of one value per case; zeros of no case."""
    low, high = bootstrap_interval(values, seed=seed)
    return Estimate(float(values.mean()) if len(values) else 0.0, low, high, len(values))


Cell = str | int | float | Estimate | None  # None: does not apply


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars with whiskers, one group for each label."""

    title: str
    axis: str
    labels: tuple[str, ...]
    series: Mapping[str, tuple[Estimate | None, ...]]


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    x: tuple[float, ...]
    y: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines with bands. `diagonal` draws x = y, as reliability curves need it; `ticks` names the places on x."""

    title: str
    x_axis: str
    y_axis: str
    lines: tuple[Line, ...]
    diagonal: bool = False
    ticks: tuple[str, ...] = ()


Plot = Bars | Lines


@dataclass(frozen=True, slots=True)
class Section:
    """One question and its answer. `missing` says in a line each what could not be told, and why."""

    key: str
    title: str
    reading: str  # how to read it, and its caveats
    provenance: str  # seed, data, cases, and the command that prints it again
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Headline:
    label: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    title: str
    facts: tuple[tuple[str, str], ...]  # release, data, commit, libraries
    headlines: tuple[Headline, ...]
    sections: tuple[Section, ...]

    def document(self) -> dict[str, Any]:
        """Every figure of the report as JSON, without the plots, which draw the same figures."""
        sections = {
            section.key: {
                "title": section.title,
                "provenance": section.provenance,
                "missing": list(section.missing),
                "tables": [_table_document(table) for table in section.tables],
            }
            for section in self.sections
        }
        return {"facts": dict(self.facts), "sections": sections}


def _table_document(table: Table) -> dict[str, Any]:
    rows = [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.rows]
    return {"title": table.title, "rows": rows}


def _plain(cell: Cell) -> Any:
    if isinstance(cell, Estimate):
        return {"mean": cell.mean, "low": cell.low, "high": cell.high, "count": cell.count}
    return cell
