"""What a dashboard consists of, as plain values: tables in `boards/`, drawn by Grafana or as a preview."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat"]
# Grafana's names of units.
SECONDS, SHARE, PER_SECOND, COUNT, BYTES, MICROSECONDS = "s", "percentunit", "reqps", "short", "bytes", "µs"


@dataclass(frozen=True, slots=True)
class Query:
    expr: str
    legend: str = ""  # in Grafana's form: {{label}}


@dataclass(frozen=True, slots=True)
class Panel:
    """`empty` is the reason why a healthy system may have no data for it; width is of 24 columns."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    description: str = ""
    kind: Kind = "timeseries"
    width: int = 8
    minimum: float | None = 0
    maximum: float | None = None
    bad_above: float | None = None
    bad_below: float | None = None
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)


def quantiles(metric: str, by: str, *levels: float) -> tuple[Query, ...]:
    """A line for each value of the label `by` and each level, of a histogram."""
    rate = f"sum by (le, {by}) (rate({metric}_bucket[$__rate_interval]))"
    return tuple(Query(f"histogram_quantile({q}, {rate})", f"{{{{{by}}}}} p{q * 100:g}") for q in levels)


def rate(selector: str, *by: str) -> str:
    """Summed per second, over everything but the labels `by`."""
    return f"sum by ({', '.join(by)}) (rate({selector}[$__rate_interval]))"


def ratio(part: str, whole: str, *by: str) -> str:
    """The rate of one selector by that of another."""
    return f"{rate(part, *by)} / {rate(whole, *by)}"
