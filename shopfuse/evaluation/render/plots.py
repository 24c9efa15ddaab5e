"""The plots of a report as SVG, by matplotlib: text stays text, and colours follow the reader's light or dark theme.

matplotlib draws with stand-in colours, which are then replaced by variables that a style sheet inside each SVG sets.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shopfuse.evaluation.report.section import Bars, Estimate, Line, Lines, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Stand-in -> (light, dark). The first is text and axes, the second faint lines, the others series in order.
THEME = {
    "#010101": ("#1f2430", "#e6e8ee"),
    "#020202": ("#d5d9e0", "#3a404c"),
    "#030303": ("#1d6fd1", "#6cb0ff"),
    "#040404": ("#d1681d", "#ffab66"),
    "#050505": ("#2c8f56", "#6fd39b"),
    "#060606": ("#9a4fb8", "#d49bee"),
    "#070707": ("#7a7f8c", "#a3a9b7"),
    "#080808": ("#b8365a", "#ff8aa8"),
}
INK, FAINT, *SERIES = THEME
WIDTH_IN = 7.4
BAR_IN = 0.22
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_IDS = re.compile(r'(?P<before>\bid="|url\(#|href="#)')


def variables(place: int) -> str:
    """The CSS variables of the theme, light (0) or dark (1)."""
    return "".join(f"--plot{number}:{colours[place]};" for number, colours in enumerate(THEME.values()))


STYLE = f"svg{{{variables(0)}}}@media (prefers-color-scheme:dark){{svg{{{variables(1)}}}}}"


def svg(plot: Plot, name: str) -> str:
    """One `<svg>` element that can stand in an HTML page beside others, or alone in a file. `name` prefixes its ids."""
    from matplotlib import rc_context  # takes half a second: only who draws waits for it
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(_settings()):
        figure = Figure(figsize=(WIDTH_IN, _height(plot)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        _draw(axes, plot)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _themed(file.getvalue(), plot.title, name)


def _settings() -> Any:  # rc_context wants the literal names of matplotlib's settings as its type
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "shopfuse",
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": FAINT,
        "legend.frameon": False,
    }


def _height(plot: Plot) -> float:
    if isinstance(plot, Lines):
        return 3.6
    return 1.1 + BAR_IN * max(len(plot.labels) * (len(plot.series) + 0.6), 3)


def _draw(axes: Axes, plot: Plot) -> None:
    axes.set_title(plot.title)
    if isinstance(plot, Bars):
        _draw_bars(axes, plot)
    else:
        _draw_lines(axes, plot)
    if len(plot.series if isinstance(plot, Bars) else plot.lines) > 1:
        axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=4)


def _draw_bars(axes: Axes, plot: Bars) -> None:
    height = 0.82 / len(plot.series)
    for number, (name, values) in enumerate(plot.series.items()):
        there = [(place, value) for place, value in enumerate(values) if value is not None]
        places = np.array([place for place, _ in there]) + (number - (len(plot.series) - 1) / 2) * height
        means = np.array([value.mean for _, value in there])
        axes.barh(places, means, height * 0.88, color=SERIES[number % len(SERIES)], label=name)
        axes.errorbar(means, places, xerr=_reach([value for _, value in there]), fmt="none", ecolor=INK, elinewidth=1.0)
    axes.set_yticks(range(len(plot.labels)), plot.labels)
    axes.invert_yaxis()
    axes.set_xlabel(plot.axis)
    axes.grid(axis="x", linewidth=0.6)
    axes.tick_params(length=0)


def _draw_lines(axes: Axes, plot: Lines) -> None:
    for number, line in enumerate(plot.lines):
        _draw_line(axes, line, SERIES[number % len(SERIES)])
    if plot.diagonal:
        top = max([0.0, *(max(*line.x, *(point.mean for point in line.y)) for line in plot.lines if line.x)])
        axes.plot([0, top], [0, top], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="perfect")
    if plot.ticks:
        axes.set_xticks(range(len(plot.ticks)), plot.ticks)
    axes.set_xlabel(plot.x_axis)
    axes.set_ylabel(plot.y_axis)
    axes.grid(linewidth=0.6)
    axes.tick_params(length=0)


def _draw_line(axes: Axes, line: Line, colour: str) -> None:
    means = [point.mean for point in line.y]
    axes.plot(line.x, means, color=colour, marker="o", markersize=4, linewidth=1.6, label=line.name)
    axes.fill_between(
        line.x, [point.low for point in line.y], [point.high for point in line.y], color=colour, alpha=0.15, linewidth=0
    )


def _reach(values: Sequence[Estimate]) -> list[list[float]]:
    """How far the interval reaches below and above the mean."""
    below = [max(value.mean - value.low, 0.0) for value in values]
    return [below, [max(value.high - value.mean, 0.0) for value in values]]


def _themed(text: str, title: str, name: str) -> str:
    """The element alone, its colours variables, its ids its own."""
    for number, stand_in in enumerate(THEME):
        text = text.replace(stand_in, f"var(--plot{number})")
    text = _METADATA.sub("", text[text.index("<svg") :])
    text = _IDS.sub(lambda match: f"{match['before']}{name}-", text)
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    start, rest = text.split(">", 1)
    return f'{start} role="img" aria-label="{label}">\n<style>{STYLE}</style>{rest.strip()}\n'
