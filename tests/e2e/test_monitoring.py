"""A real Prometheus scrapes a real gateway and a real Triton: every query of a dashboard or rule has data."""

from __future__ import annotations

import math
import os
import re
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import polars as pl
import pytest

from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from monitoring.dashboard_json import RELEASE_CHANGED
from monitoring.local_prometheus import LocalPrometheus, PrometheusFailed, local_prometheus
from monitoring.quiet import EMPTY_WHEN_HEALTHY, NOT_SHOWN
from monitoring.rules import expressions
from monitoring.selectors import metrics, selectors
from monitoring.traffic import traffic
from shopfuse.datasets.workspace import Workspace
from shopfuse.local.fleet import SyncOptions, release_sync
from shopfuse.local.stack import Stack, StackOptions, local_stack
from shopfuse.triton.command import choose_ports
from shopfuse_gateway.server import SERVICES
from tests.debian import program
from tests.monitoring.exported import asked_for
from tests.waiting import wait_until

FIRST_ANSWERS_S = 60.0
STAGES = ("features", "encode", "recall", "item_features", "rank", "policy")  # of every list
ALERT_S = 90.0


@dataclass(frozen=True)
class Watched:
    stack: Stack
    targets: tuple[str, ...]
    prometheus: LocalPrometheus
    outcomes: Counter[str]

    def scraped(self) -> set[str]:
        """The metrics that the targets export now, by the names of their families."""
        texts = []
        for address in self.targets:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
                texts.append(response.read().decode())
        names = re.findall(r"^# TYPE (\S+)", "\n".join(texts), flags=re.MULTILINE)
        return {name for name in names if not name.endswith("_created")}

    def has_number(self, query: str) -> bool:
        """Whether a series of the query has a value: a share of nothing is none."""
        return any(math.isfinite(one.points[0][1]) for one in self.prometheus.query(query))

    def unanswered(self, queries: Iterable[str]) -> list[str]:
        """Queries without data, and selectors in them without a series, less what a healthy system lacks."""
        empty = []
        for query in queries:
            if not self.has_number(query) and not metrics(query) & EMPTY_WHEN_HEALTHY.keys():
                empty.append(query)
            for name, labels in selectors(query):
                if name not in EMPTY_WHEN_HEALTHY and not self.prometheus.query(name + labels):
                    empty.append(f"{name}{labels} in {query}")
        return empty


@pytest.fixture(scope="module")
def watched(
    shop: Workspace, users: list[str], item_ids: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    program("prometheus", "prometheus")
    queries = pl.read_parquet(shop.paths.search_truth)["query"].unique(maintain_order=True).to_list()[:20]
    with local_stack(shop.root, StackOptions(log_impressions=False)) as stack:
        assert stack.triton is not None
        [probes] = choose_ports("127.0.0.1", (0,))
        targets = {
            "shopfuse-gateway": stack.endpoints.metrics,
            "triton": f"127.0.0.1:{stack.triton.metrics_port}",
            "release-sync": f"127.0.0.1:{probes}",
        }
        with (
            release_sync(shop.root, SyncOptions(triton=stack.triton.address, probes_port=probes)),
            local_prometheus(tmp_path_factory.mktemp("prometheus") / "run", targets) as prometheus,
            traffic(stack.endpoints.grpc, users[:20], item_ids, queries) as outcomes,
        ):
            yield Watched(stack, tuple(targets.values()), prometheus, outcomes)


def healthy_queries() -> list[str]:
    """Of panels and recording rules; an alert's query is empty as long as all is well."""
    panels = [query.expr for board in BOARDS for panel in board.panels if not panel.empty for query in panel.queries]
    alerts = {alert.name for alert in ALERTS}
    return panels + [expr for name, expr in expressions().items() if name not in alerts]


def test_every_query_of_a_dashboard_and_of_a_recording_rule_has_data(watched: Watched) -> None:
    with suppress(AssertionError):  # which query it is, the next line tells
        wait_until(lambda: not watched.unanswered(healthy_queries()), FIRST_ANSWERS_S)

    assert not watched.unanswered(healthy_queries())
    assert watched.outcomes["ok"] > 20
    assert not watched.outcomes["failed"]


def test_every_stage_and_every_method_is_drawn(watched: Watched) -> None:
    methods = {method.name for service in SERVICES for method in service.methods}

    stages = {one.labels["stage"] for one in watched.prometheus.query("shopfuse_stage_duration_seconds_count")}
    budgets = {one.labels["rpc"] for one in watched.prometheus.query("slo:error_budget_left:ratio")}

    assert stages == {*STAGES, "facets", "classify", "complete"}
    assert budgets == {*methods, "all"}


def test_what_alerts_and_quiet_panels_read_is_there(watched: Watched) -> None:
    quiet = [query.expr for board in BOARDS for panel in board.panels if panel.empty for query in panel.queries]
    for query in (*quiet, *(alert.expr for alert in ALERTS), RELEASE_CHANGED):
        watched.prometheus.query(query)  # is valid
        read = [f"{name}{labels}" for name, labels in selectors(query) if name not in EMPTY_WHEN_HEALTHY]

        assert not watched.unanswered(read), query


def test_a_metric_that_was_renamed_is_told(watched: Watched) -> None:
    renamed = 'sum(rate(grpc_server_handled_totals{grpc_code="OK"}[$__rate_interval])) or vector(0)'

    assert watched.unanswered([renamed])
    with pytest.raises(PrometheusFailed, match="parse error"):
        watched.prometheus.query("sum(")


def test_every_exported_metric_is_shown_or_excused(watched: Watched) -> None:
    exported = watched.scraped()

    homeless = sorted(exported - asked_for() - NOT_SHOWN.keys())

    assert not homeless, "give it a panel in monitoring/boards/, or a reason in monitoring/quiet.py"
    assert exported >= NOT_SHOWN.keys(), "an excuse for a metric that nobody exports"


def test_a_killed_triton_is_told_and_seen_until_it_is_back(watched: Watched) -> None:
    """Last of this file: it leaves degraded answers behind."""
    triton, prometheus = watched.stack.triton, watched.prometheus
    assert triton is not None
    assert not {"TritonDown", "GatewayDown", "StageDegraded"} & prometheus.firing()

    os.kill(triton.pid, signal.SIGKILL)
    wait_until(lambda: {"TritonDown", "StageDegraded"} <= prometheus.firing(), ALERT_S)
    degraded = [query for query in healthy_queries() if "shopfuse_degraded_total" in metrics(query)]

    assert "GatewayDown" not in prometheus.firing()
    assert degraded
    assert all(prometheus.query(query) for query in degraded)
    watched.stack.restart_triton()
    wait_until(lambda: "TritonDown" not in prometheus.firing(), ALERT_S)
    assert prometheus.query('up{job="triton"}')[0].points[0][1] == 1
