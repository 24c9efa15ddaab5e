"""No metric is exported for nobody: each stands on a panel, in a rule, or in the list of those that need not."""

from __future__ import annotations

from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from monitoring.objectives import OBJECTIVES
from monitoring.quiet import EMPTY_WHEN_HEALTHY, NOT_SHOWN
from monitoring.rules import expressions
from monitoring.selectors import metrics, selectors
from shopfuse_gateway.telemetry.metrics import Metrics
from tests.monitoring.exported import asked_for, families, our_families


def test_every_metric_of_the_gateway_is_shown() -> None:
    homeless = our_families() - asked_for() - NOT_SHOWN.keys()

    assert not homeless, (
        f"{sorted(homeless)}: give it a panel in monitoring/boards/ and run `make monitoring`, "
        "or a reason in NOT_SHOWN of monitoring/quiet.py"
    )


def test_what_is_asked_for_is_not_excused() -> None:
    assert not NOT_SHOWN.keys() & asked_for()
    assert EMPTY_WHEN_HEALTHY.keys() <= asked_for()


def test_a_new_metric_is_seen() -> None:
    registry = Metrics().registry

    assert "shopfuse_degraded_total" in families(registry)
    assert "shopfuse_candidates" in families(registry)
    assert not {name for name in families(registry) if name.endswith("_created")}


def test_objectives_lie_on_edges_of_the_histogram() -> None:
    edges = {
        sample.labels["le"]
        for metric in _observed().registry.collect()
        for sample in metric.samples
        if sample.name == "grpc_server_handling_seconds_bucket"
    }
    wanted = {
        labels.partition('le="')[2].partition('"')[0]
        for objective in OBJECTIVES
        for name, labels in selectors(objective.bad)
        if name.endswith("_bucket")
    }

    assert wanted
    assert wanted <= edges


def _observed() -> Metrics:
    told = Metrics()
    told.handling.labels("unary", "shopfuse.v1.SearchService", "Search").observe(0.01)
    return told


def test_the_metrics_of_a_query_are_found() -> None:
    expr = 'sum by (model) (rate(a_bucket{le="0.1",x=~"b|c"}[5m])) / scalar(d_total offset 1m) > 3 or e:f:rate5m'

    assert metrics(expr) == {"a_bucket", "a", "d_total", "e:f:rate5m"}
    assert selectors('a > 0 unless on (b) max by (b) (c{d="e"}[$__rate_interval])') == {("a", ""), ("c", '{d="e"}')}


def test_recorded_series_are_used_where_they_exist() -> None:
    recorded = {name.split(" ")[0] for name in expressions() if ":" in name}
    used = {name for name in asked_for() if ":" in name}

    assert used == recorded, "a rule that nobody reads, or a query of a rule that is not there"


def test_every_alert_and_panel_reads_something() -> None:
    silent = [alert.name for alert in ALERTS if not metrics(alert.expr) and alert.name != "Watchdog"]
    silent += [panel.title for board in BOARDS for panel in board.panels if not panel.queries]

    assert not silent
