"""How a figure of a report is written, in Markdown and in HTML alike."""

from __future__ import annotations

from shopfuse.evaluation.report.section import Cell, Estimate

THIN_MARK = "few"  # beside figures of fewer than section.FEW cases
ABSENT = "-"


def written(cell: Cell) -> str:
    """A cell as text: an estimate with its interval, a number with the digits that it deserves."""
    if cell is None:
        return ABSENT
    if isinstance(cell, Estimate):
        thin = f" ({THIN_MARK}: {cell.count})" if cell.is_thin else ""
        return f"{number(cell.mean)} [{number(cell.low)}, {number(cell.high)}]{thin}"
    return number(cell) if isinstance(cell, float) else str(cell)


def number(value: float) -> str:
    """Three decimals; fewer where the number is large."""
    if value != value:
        return ABSENT
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"


def is_numeric(cell: Cell) -> bool:
    return cell is None or isinstance(cell, int | float | Estimate)
