"""The tables of docs/monitoring.md: objectives, alerts, dashboards and metrics, between the marks that name them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from monitoring.objectives import OBJECTIVES
from monitoring.quiet import NOT_SHOWN
from monitoring.rules import expressions
from monitoring.selectors import metrics, selectors
from shopfuse_gateway.telemetry.metrics import Metrics

OF_TRITON = ("nv_", "shopfuse_engine_")  # the second by our backend
END = "<!-- end -->"


def with_tables(page: str) -> str:
    """The page with each table between `<!-- name -->` and `<!-- end -->` written anew."""
    for name, table in TABLES.items():
        before, mark, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(END)
        assert mark and end, f"docs/monitoring.md has no place for the table {name!r}"
        page = before + mark + table() + end + after
    return page


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def _objectives() -> str:
    methods: dict[tuple[str, str, str], list[str]] = {}
    for one in OBJECTIVES:
        methods.setdefault((one.slo, f"{one.share:.1%} {one.promise}", one.reason), []).append(one.rpc)
    rows = ((slo, ", ".join(rpcs), promise, reason) for (slo, promise, reason), rpcs in methods.items())
    return _table(("what", "of", "of 30 days' requests", "why"), rows)


def _alerts() -> str:
    rows = [(f"[{one.name}](runbook.md#{one.name.lower()})", one.severity, one.hold, one.summary) for one in ALERTS]
    return _table(("alert", "severity", "for", "when"), rows)


def _dashboards() -> str:
    return _table(
        ("dashboard", "rows", "panels"),
        ((one.title, ", ".join(row.title for row in one.rows), len(one.panels)) for one in BOARDS),
    )


def _metrics() -> str:
    told = {
        f"{one.name}_total" if one.type == "counter" else one.name: one.documentation
        for one in Metrics().registry.collect()
    }
    queries = (query.expr for board in BOARDS for panel in board.panels for query in panel.queries)
    read = {name for expr in queries for name, _ in selectors(expr)} | NOT_SHOWN.keys()
    told |= {name: "of Triton" for name in sorted(read) if name.startswith(OF_TRITON)}
    return _table(("metric", "what", "shown"), ((f"`{name}`", text, _homes(name)) for name, text in told.items()))


def _homes(name: str) -> str:
    boards = [
        board.title.removeprefix("shopfuse: ")
        for board in BOARDS
        if any(name in metrics(query.expr) for panel in board.panels for query in panel.queries)
    ]
    rules = ["rules"] if any(name in metrics(expr) for expr in expressions().values()) else []
    return ", ".join(boards + rules) or f"nowhere: {NOT_SHOWN[name]}"


TABLES = {"objectives": _objectives, "alerts": _alerts, "dashboards": _dashboards, "metrics": _metrics}
