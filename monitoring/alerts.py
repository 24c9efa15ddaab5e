"""The alerts: a row for each. What to do about one stands under its name in docs/runbook.md."""

from __future__ import annotations

from dataclasses import dataclass

from monitoring.objectives import BURN_WINDOWS, COUNTED_WINDOWS, FEW_BAD_REQUESTS

RUNBOOK = "docs/runbook.md"  # of this repository; where a shop publishes it, its address
OLDEST_RELEASE_DAYS = 7
MOST_EMPTY = 0.2  # share of answers without an item
GATEWAY, TRITON = 'up{job="shopfuse-gateway"}', 'up{job="triton"}'
ANSWERS = "sum(rate(shopfuse_release_answers_total[5m]))"


@dataclass(frozen=True, slots=True)
class Alert:
    """`expr` gives a series for each thing that is wrong, `hold` is for how long it must be before anybody is told."""

    name: str
    severity: str  # page wakes somebody, ticket waits for working hours, none is a sign of life
    expr: str
    hold: str
    summary: str
    description: str

    @property
    def runbook(self) -> str:
        return f"{RUNBOOK}#{self.name.lower()}"


def _burns(slo: str, severity: str) -> str:
    """Whether a budget burns in one of the pairs of windows of that severity."""
    windows = [window for window in BURN_WINDOWS if window.severity == severity]
    pairs = [
        f'(slo:burn_rate:{window.short}{{slo="{slo}"}} > {window.factor} '
        f'and slo:burn_rate:{window.long}{{slo="{slo}"}} > {window.factor})'
        for window in windows
    ]
    return (
        f'({" or ".join(pairs)}) and slo:bad_requests:{COUNTED_WINDOWS[severity]}{{slo="{slo}"}} >= {FEW_BAD_REQUESTS}'
    )


def _budget(slo: str, title: str, what: str) -> tuple[Alert, Alert]:
    """Fast is 2 % of 30 days' budget in an hour or 5 % in six, slow 10 % in three days."""
    told = f"{{{{ $labels.rpc }}}}: {what}; the budget of 30 days burns {{{{ $value | humanize }}}} times too fast."
    return (
        Alert(f"{title}BudgetBurnsFast", "page", _burns(slo, "page"), "2m", f"{what}, many at once", told),
        Alert(f"{title}BudgetBurnsSlowly", "ticket", _burns(slo, "ticket"), "15m", f"{what}, for days", told),
    )


_STABLE = "max by (release_id) (shopfuse_release_info)"
# Of each release that is not the stable one: its degraded share, less that of the stable one.
CANARY_LEAD = (
    f"(release:degraded:ratio_rate5m unless on (release_id) {_STABLE})"
    f" - scalar(release:degraded:ratio_rate5m and on (release_id) {_STABLE})"
)
FEW_ANSWERS = 50  # of a canary in five minutes: fewer say little

ALERTS = (
    *_budget("availability", "Availability", "requests fail"),
    *_budget("latency", "Latency", "answers are late"),
    *_budget("whole_answers", "WholeAnswers", "answers are degraded"),
    Alert(
        "ErrorBudgetSpent",
        "ticket",
        "slo:error_budget_left:ratio < 0",
        "1h",
        "the error budget of 30 days is spent",
        "{{ $labels.slo }} of {{ $labels.rpc }}: {{ $value | humanizePercentage }} of the budget is left.",
    ),
    Alert(
        "GatewayDown",
        "page",
        f"{GATEWAY} == 0 or absent({GATEWAY})",
        "1m",
        "a gateway does not answer its scrape, or none is known",
        "{{ $labels.instance }} cannot be scraped.",
    ),
    Alert(
        "TritonDown",
        "page",
        f"{TRITON} == 0 or absent({TRITON})",
        "1m",
        "Triton does not answer; gateways that use it answer degraded",
        "{{ $labels.instance }} cannot be scraped.",
    ),
    Alert(
        "TargetDown",
        "ticket",
        'up{job!~"shopfuse-gateway|triton"} == 0',
        "5m",
        "something else that Prometheus scrapes does not answer",
        "{{ $labels.job }} at {{ $labels.instance }} cannot be scraped.",
    ),
    Alert(
        "StageDegraded",
        "ticket",
        f"sum by (stage, reason) (rate(shopfuse_degraded_total[5m])) / scalar({ANSWERS}) > 0.05",
        "10m",
        "more than 5 % of the answers do without something",
        "{{ $labels.stage }}, {{ $labels.reason }}: {{ $value | humanizePercentage }} of the answers.",
    ),
    Alert(
        "RequestsRefused",
        "page",
        "sum by (reason) (rate(shopfuse_shed_total[5m])) / scalar(sum(rate(grpc_server_started_total[5m]))) > 0.01",
        "5m",
        "gateways refuse more than 1 % of the requests",
        "Refused for {{ $labels.reason }}: {{ $value | humanizePercentage }} of the requests.",
    ),
    Alert(
        "GatewayNearlyFull",
        "ticket",
        "avg_over_time(shopfuse_inflight_requests[5m]) / shopfuse_inflight_limit > 0.8",
        "5m",
        "a gateway holds more than 80 % of the requests that it takes at once",
        "{{ $labels.instance }} is {{ $value | humanizePercentage }} full.",
    ),
    Alert(
        "TritonQueueGrows",
        "ticket",
        "sum by (instance, model) (avg_over_time(nv_inference_pending_request_count[5m])) > 16",
        "5m",
        "requests queue in Triton",
        "{{ $labels.model }} at {{ $labels.instance }}: {{ $value | humanize }} requests wait.",
    ),
    Alert(
        "TritonRequestsFail",
        "ticket",
        'sum by (model, reason) (rate(nv_inference_request_failure{reason!="CANCELED"}[5m])) > 0.1',
        "5m",
        "a model fails requests",
        "{{ $labels.model }}, {{ $labels.reason }}: {{ $value | humanize }} requests a second.",
    ),
    Alert(
        "EngineNotUsed",
        "ticket",
        "sum by (instance, model, version, reason) (shopfuse_engine_fallbacks_total) > 0",
        "5m",
        "a model runs without its TensorRT engine",
        "{{ $labels.model }} version {{ $labels.version }} at {{ $labels.instance }}: {{ $labels.reason }}.",
    ),
    Alert(
        "ReleaseTooOld",
        "ticket",
        f"max(shopfuse_index_age_seconds) > {OLDEST_RELEASE_DAYS} * 86400",
        "1h",
        f"the stable release is older than {OLDEST_RELEASE_DAYS} days",
        "It was made {{ $value | humanizeDuration }} ago.",
    ),
    Alert(
        "ReleaseRefused",
        "ticket",
        "sum by (reason) (increase(shopfuse_release_refused_total[15m])) > 0",
        "0s",
        "a published release is not served",
        "Refused as {{ $labels.reason }}; the release before goes on.",
    ),
    Alert(
        "WorkspaceOutOfStep",
        "ticket",
        "shopfuse_sync_in_step == 0",
        "10m",
        "a pod does not follow the releases",
        "{{ $labels.instance }} goes on with what it has; its release-sync says why.",
    ),
    Alert(
        "GatewaysDisagree",
        "ticket",
        "count(count by (release_id) (shopfuse_release_info)) > 1",
        "10m",
        "gateways have different stable releases",
        "{{ $value }} releases are stable at once.",
    ),
    Alert(
        "CanaryWorseThanStable",
        "page",
        f"{CANARY_LEAD} > 0.02 and on (release_id)"
        f" sum by (release_id) (increase(shopfuse_release_answers_total[5m])) >= {FEW_ANSWERS}",
        "5m",
        "the canary degrades more answers than the stable release",
        "{{ $labels.release_id }}: {{ $value | humanizePercentage }} more of its answers.",
    ),
    Alert(
        "FeaturesMissing",
        "ticket",
        'sum(rate(shopfuse_feature_missing_total{feature="item"}[5m]))'
        ' / sum(rate(shopfuse_feature_reads_total{feature="item"}[5m])) > 0.1',
        "10m",
        "the feature store lacks rows of candidates",
        "{{ $value | humanizePercentage }} of the candidates have no row.",
    ),
    Alert(
        "EmptyAnswers",
        "ticket",
        "sum by (grpc_method) (rate(shopfuse_zero_results_total[30m]))"
        f' / sum by (grpc_method) (rate(grpc_server_handled_total{{grpc_code="OK"}}[30m])) > {MOST_EMPTY}',
        "30m",
        f"more than {MOST_EMPTY:.0%} of a method's answers have no item",
        "{{ $labels.grpc_method }}: {{ $value | humanizePercentage }} of the answers.",
    ),
    Alert(
        "FeaturesOld",
        "ticket",
        "histogram_quantile(0.5, sum by (le) (rate(shopfuse_feature_age_seconds_bucket[15m]))) > 7 * 86400",
        "1h",
        "rows in the feature store are not renewed",
        "Half of the requests read a row that is older than {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "ImpressionsDropped",
        "ticket",
        "sum by (reason) (rate(shopfuse_impressions_dropped_total[5m])) > 0",
        "5m",
        "impressions are not logged",
        "{{ $labels.reason }}: {{ $value | humanize }} a second are lost.",
    ),
    Alert("Watchdog", "none", "vector(1)", "0s", "alerting works", "Always fires; sound the alarm when it stays away."),
)
