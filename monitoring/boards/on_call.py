"""The first look of whoever is paged: is it well, whose budget burns, is it full."""

from __future__ import annotations

from monitoring.panels import COUNT, PER_SECOND, SECONDS, SHARE, Board, Panel, Query, Row, quantiles, rate

LIST_CALLS = 'grpc_server_handled_total{grpc_service=~"shopfuse.v1.*"}'
NOT_OK = 'grpc_server_handled_total{grpc_service=~"shopfuse.v1.*",grpc_code!="OK"}'
FIRING = 'ALERTS{alertstate="firing",severity!="none"}'


def _stat(title: str, unit: str, expr: str, description: str = "", **limits: float) -> Panel:
    return Panel(title, unit, (Query(expr),), description, kind="stat", width=4, **limits)  # type: ignore[arg-type]


BOARD = Board(
    "shopfuse-on-call",
    "shopfuse: on call",
    "Is it well, whose error budget burns, is it full. Each alert has its entry in docs/runbook.md.",
    (
        Row(
            "Is it well?",
            (
                _stat("Alerts", COUNT, f"count({FIRING}) or vector(0)", "Those that fire now.", bad_above=0.5),
                _stat("Requests", PER_SECOND, f"sum(rate({LIST_CALLS}[$__rate_interval]))"),
                _stat(
                    "Requests not OK",
                    SHARE,
                    f"sum(rate({NOT_OK}[$__rate_interval])) / sum(rate({LIST_CALLS}[$__rate_interval]))",
                    "Callers' own mistakes among them: see the codes below.",
                    bad_above=0.01,
                ),
                _stat(
                    "Degraded answers",
                    SHARE,
                    'sum(rate(shopfuse_release_answers_total{outcome="degraded"}[$__rate_interval]))'
                    " / sum(rate(shopfuse_release_answers_total[$__rate_interval]))",
                    bad_above=0.01,
                ),
                _stat("Gateways up", COUNT, 'sum(up{job="shopfuse-gateway"})', bad_below=1),
                _stat("Tritons up", COUNT, 'sum(up{job="triton"})', bad_below=1),
            ),
        ),
        Row(
            "Error budgets",
            (
                Panel(
                    "Budget left, of 30 days",
                    SHARE,
                    (Query("slo:error_budget_left:ratio", "{{slo}} {{rpc}}"),),
                    "1 is untouched, below 0 is more than the objective allows.",
                    minimum=None,
                    maximum=1,
                    bad_below=0,
                ),
                Panel(
                    "Burn rate, one hour",
                    COUNT,
                    (Query("slo:burn_rate:1h", "{{slo}} {{rpc}}"),),
                    "1 spends the budget in 30 days. Above 14.4 here and in five minutes somebody is paged.",
                    bad_above=14.4,
                ),
                Panel(
                    "Burn rate, five minutes", COUNT, (Query("slo:burn_rate:5m", "{{slo}} {{rpc}}"),), bad_above=14.4
                ),
            ),
        ),
        Row(
            "Requests",
            (
                Panel("Requests by method", PER_SECOND, (Query(rate(LIST_CALLS, "grpc_method"), "{{grpc_method}}"),)),
                Panel(
                    "Not OK, by method and code",
                    PER_SECOND,
                    (Query(f"{rate(NOT_OK, 'grpc_method', 'grpc_code')} > 0", "{{grpc_method}} {{grpc_code}}"),),
                    empty="every request is answered",
                ),
                Panel("Time of requests", SECONDS, quantiles("grpc_server_handling_seconds", "grpc_method", 0.5, 0.99)),
            ),
        ),
        Row(
            "Is it full?",
            (
                Panel(
                    "How full each gateway is",
                    SHARE,
                    (Query("shopfuse_inflight_requests / shopfuse_inflight_limit", "{{instance}}"),),
                    "Requests in hand, of those that it takes at once.",
                    maximum=1,
                    bad_above=0.8,
                ),
                Panel(
                    "Refused, by reason",
                    PER_SECOND,
                    (Query(rate("shopfuse_shed_total", "reason"), "{{reason}}"),),
                    "in_flight: too many at once. lag: the event loop is behind.",
                ),
                Panel(
                    "Started and not ended",
                    PER_SECOND,
                    (
                        Query(rate("grpc_server_started_total", "grpc_method"), "{{grpc_method}} started"),
                        Query(rate("grpc_server_handled_total", "grpc_method"), "{{grpc_method}} ended"),
                    ),
                ),
            ),
        ),
        Row(
            "Alerts",
            (Panel("Firing", COUNT, (Query(FIRING, "{{alertname}} {{rpc}}{{instance}}"),), width=24),),
        ),
    ),
)
