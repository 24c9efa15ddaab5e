"""What is exported, and what is asked for."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from monitoring.boards import BOARDS
from monitoring.rules import expressions
from monitoring.selectors import metrics
from shopfuse.release_store.probes import COUNTERS, GAUGES
from shopfuse_gateway.telemetry.metrics import Metrics

COUNTER = "counter"


def families(registry: CollectorRegistry) -> set[str]:
    """The names of metrics as a scrape tells them; counters end in _total."""
    return {f"{one.name}_total" if one.type == COUNTER else one.name for one in registry.collect()}


def our_families() -> set[str]:
    """Of the gateway and of release-sync."""
    return families(Metrics().registry) | GAUGES.keys() | {f"{name}_total" for name in COUNTERS}


def asked_for() -> set[str]:
    """Everything that a panel or a rule reads."""
    queries = [query.expr for board in BOARDS for panel in board.panels for query in panel.queries]
    return {name for expr in (*queries, *expressions().values()) for name in metrics(expr)}
