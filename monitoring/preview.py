"""Pictures of the dashboards for the docs, drawn from a real Prometheus; previews, not Grafana.

    python -m monitoring.preview -w demo

Serves the workspace under a Prometheus of its own, sends requests of every kind, kills Triton halfway and starts it
again, then draws a PNG for each dashboard.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from monitoring.boards import BOARDS
from monitoring.local_prometheus import LocalPrometheus, Series, local_prometheus
from monitoring.panels import BYTES, MICROSECONDS, PER_SECOND, SECONDS, SHARE, Board, Panel, Query, Row
from monitoring.render import HERE
from monitoring.traffic import traffic
from shopfuse.datasets.workspace import Workspace
from shopfuse.local.fleet import SyncOptions, release_sync
from shopfuse.local.stack import local_stack
from shopfuse.triton.command import choose_ports

FOLDER = HERE.parent / "docs" / "previews"
COLUMNS = 24
COLUMN_INCHES, ROW_INCHES, STAT_INCHES, HEAD_INCHES = 0.5, 1.9, 0.7, 0.6
DPI = 75
LONGEST_LEGEND = 7
COLOURS = 48
# Of the columns' own width and the rows' height: the gaps between panels.
MARGINS = {"left": 0.045, "right": 0.99, "wspace": 8, "hspace": 0.4}
QUERIES = ("boots", "red shoes", "wool scarf", "lamp", "cushioned jacket")
UNITS = {SECONDS: "s", SHARE: "share", PER_SECOND: "/s", BYTES: "bytes", MICROSECONDS: "µs"}


def main() -> None:
    options = _options()
    workspace = Workspace.open(options.workspace)
    users = workspace.events().select("user_id").unique().sort("user_id").head(50).collect()["user_id"].to_list()
    items = workspace.items().select("item_id").head(200).collect()["item_id"].to_list()
    options.to.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 7, "axes.titlesize": 8, "axes.grid": True, "grid.alpha": 0.3})
    mpl.rcParams["axes.prop_cycle"] = cycler(color=mpl.colormaps["tab20"](range(20)))  # a panel has 13 objectives
    with tempfile.TemporaryDirectory() as folder, local_stack(workspace.root) as stack:
        assert stack.triton is not None
        [probes] = choose_ports("127.0.0.1", (0,))
        targets = {
            "shopfuse-gateway": stack.endpoints.metrics,
            "triton": f"127.0.0.1:{stack.triton.metrics_port}",
            "release-sync": f"127.0.0.1:{probes}",
        }
        with (
            release_sync(workspace.root, SyncOptions(triton=stack.triton.address, probes_port=probes)),
            local_prometheus(Path(folder, "run"), targets) as prometheus,
            traffic(stack.endpoints.grpc, users, items, QUERIES),
        ):
            began = time.time()
            time.sleep(options.seconds / 2)
            os.kill(stack.triton.pid, signal.SIGKILL)
            time.sleep(options.seconds / 6)
            stack.restart_triton()
            time.sleep(options.seconds / 3)
            for board in BOARDS:
                path = options.to / f"{board.uid.removeprefix('shopfuse-')}.png"
                save(draw(board, prometheus, began, time.time()), path)
                print(f"wrote {path}, {path.stat().st_size / 1024:.0f} KB")


def save(figure: Figure, path: Path) -> None:
    """With few colours: a page of the docs loads five of them."""
    whole = BytesIO()
    figure.savefig(whole, dpi=DPI)
    Image.open(whole).quantize(COLOURS).save(path, optimize=True)


def draw(board: Board, prometheus: LocalPrometheus, start: float, end: float) -> Figure:
    """Rows below one another, panels as wide as in Grafana."""
    heights = [STAT_INCHES if row.panels[0].kind == "stat" else ROW_INCHES for row in _lines(board)]
    height = sum(heights) + HEAD_INCHES
    figure = Figure(figsize=(COLUMNS * COLUMN_INCHES, height))
    note = "drawn by monitoring/preview.py, not by Grafana; Triton is killed halfway and started again"
    figure.suptitle(f"{board.title}  ({note})", fontsize=9)
    grid = figure.add_gridspec(
        len(heights), COLUMNS, height_ratios=heights, **MARGINS, top=1 - HEAD_INCHES / height, bottom=0.3 / height
    )
    for at, line in enumerate(_lines(board)):
        column = 0
        for panel in line.panels:
            axes = figure.add_subplot(grid[at, column : column + panel.width])
            column += panel.width
            data = [(query, one) for query in panel.queries for one in _points(prometheus, query, start, end)]
            _draw_stat(axes, panel, data) if panel.kind == "stat" else _draw_lines(axes, panel, data, start)
    return figure


def _lines(board: Board) -> Iterator[Row]:
    """The rows, cut where panels would be wider than the page."""
    for row in board.rows:
        line: list[Panel] = []
        for panel in row.panels:
            if sum(one.width for one in line) + panel.width > COLUMNS:
                yield Row(row.title, tuple(line))
                line = []
            line.append(panel)
        yield Row(row.title, tuple(line))


def _points(prometheus: LocalPrometheus, query: Query, start: float, end: float) -> list[Series]:
    return prometheus.query_range(query.expr, start, end, max((end - start) / 150, 1.0))


def _draw_stat(axes: Axes, panel: Panel, data: list[tuple[Query, Series]]) -> None:
    axes.axis("off")
    axes.set_title(panel.title)
    last = next((one.points[-1][1] for _, one in data), math.nan)
    text = f"{last:.1%}" if panel.unit == SHARE else f"{last:.3g} {UNITS.get(panel.unit, '')}"
    axes.text(0.5, 0.4, text, ha="center", va="center", fontsize=16, transform=axes.transAxes)


def _draw_lines(axes: Axes, panel: Panel, data: list[tuple[Query, Series]], start: float) -> None:
    axes.set_title(panel.title)
    axes.set_ylabel(UNITS.get(panel.unit, ""))
    for at, (query, one) in enumerate(data):
        label = _name(query, one) if at < LONGEST_LEGEND else None
        axes.plot([t - start for t, _ in one.points], [value for _, value in one.points], linewidth=1, label=label)
    if limit := panel.bad_above if panel.bad_above is not None else panel.bad_below:
        top = max((value for _, one in data for _, value in one.points if math.isfinite(value)), default=0)
        if limit <= 2 * top:
            axes.axhline(limit, color="red", linestyle="--", linewidth=0.8)
    if panel.minimum is not None:
        axes.set_ylim(bottom=panel.minimum)
    if any(query.legend for query, _ in data):
        axes.legend(fontsize=5, framealpha=0.5)
    if not data:
        axes.text(0.5, 0.5, f"no data: {panel.empty or 'nothing to count'}", ha="center", transform=axes.transAxes)


def _name(query: Query, series: Series) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: series.labels.get(found[1], ""), query.legend)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workspace", type=Path, required=True, help="a shop that is released")
    parser.add_argument("--seconds", type=float, default=90.0, help="how long it is watched")
    parser.add_argument("--to", type=Path, default=FOLDER, help="folder for the PNGs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
