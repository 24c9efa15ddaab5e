"""Boards as Grafana's JSON, through its foundation SDK, which knows the schema."""

from __future__ import annotations

import itertools
import json

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, GraphTresholdsStyleMode, LegendDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.dashboard import Panel as GrafanaPanel

from monitoring.panels import Board, Panel

TAG = "shopfuse"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHT, STAT_HEIGHT = 8, 4  # in Grafana's grid
GOOD, BAD = "green", "red"
STABLE = "count by (release_id) (shopfuse_release_info)"
RELEASE_CHANGED = f"{STABLE} unless {STABLE[:-1]} offset 1m)"


def dashboard_json(board: Board) -> str:
    """The same board gives the same bytes."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .link(_link_to_others())
        .annotation(_release_changed())
    )
    numbers = itertools.count(1)
    for row in board.rows:
        builder.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            builder.with_panel(_panel(panel, next(numbers)))
    return json.dumps(builder.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _link_to_others() -> dashboard.DashboardLink:
    kind = DashboardLinkType.DASHBOARDS
    return (
        dashboard.DashboardLink("shopfuse").type(kind).tags([TAG]).as_dropdown(True).keep_time(True).include_vars(True)
    )


def _release_changed() -> dashboard.AnnotationQuery:
    marks = dashboard.AnnotationQuery().name("another release").datasource(SOURCE).enable(True).icon_color("blue")
    return marks.expr(RELEASE_CHANGED)


def _panel(panel: Panel, number: int) -> Builder[GrafanaPanel]:
    drawn: stat.Panel | timeseries.Panel = _stat(panel) if panel.kind == "stat" else _time_series(panel)
    drawn.id(number).title(panel.title).description(panel.description).unit(panel.unit)
    drawn.datasource(SOURCE).span(panel.width).thresholds(_thresholds(panel))
    if panel.minimum is not None:
        drawn.min(panel.minimum)
    if panel.maximum is not None:
        drawn.max(panel.maximum)
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend or panel.title).ref_id(letter)
        drawn.with_target(target.datasource(SOURCE).range())
    return drawn


def _stat(panel: Panel) -> stat.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().height(STAT_HEIGHT).reduce_options(last).color_mode(BigValueColorMode.VALUE)


def _time_series(panel: Panel) -> timeseries.Panel:
    drawn = timeseries.Panel().height(HEIGHT).fill_opacity(5).line_width(1)
    drawn.legend(common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST))
    if panel.bad_above is not None or panel.bad_below is not None:
        drawn.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))
    return drawn


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    if panel.bad_below is not None:
        steps = [Threshold(None, BAD), Threshold(panel.bad_below, GOOD)]
    elif panel.bad_above is not None:
        steps = [Threshold(None, GOOD), Threshold(panel.bad_above, BAD)]
    else:
        steps = [Threshold(None, GOOD)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
