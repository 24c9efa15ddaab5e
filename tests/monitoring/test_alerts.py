"""Each alert fires when what it is about happens and ends when that ends: promtool runs the rules as written."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from monitoring.alerts import ALERTS
from monitoring.render import RULES

CALLS = 'grpc_server_handled_total{grpc_method="Search",grpc_code="OK"}'
LOST = 'grpc_server_handled_total{grpc_method="Search",grpc_code="Unavailable"}'
TIMED = 'grpc_server_handling_seconds_count{grpc_method="Search"}'
IN_TIME = 'grpc_server_handling_seconds_bucket{grpc_method="Search",le="0.1"}'
TYPED = 'grpc_server_handling_seconds_count{grpc_method="CompleteQuery"}'
TYPED_IN_TIME = 'grpc_server_handling_seconds_bucket{grpc_method="CompleteQuery",le="0.005"}'
TYPED_CALLS = 'grpc_server_handled_total{grpc_method="CompleteQuery",grpc_code="OK"}'
TYPED_LOST = 'grpc_server_handled_total{grpc_method="CompleteQuery",grpc_code="Internal"}'
WHOLE = 'shopfuse_release_answers_total{release_id="r1",outcome="ok"}'
DEGRADED = 'shopfuse_release_answers_total{release_id="r1",outcome="degraded"}'
CANARY = 'shopfuse_release_answers_total{release_id="r2",outcome="ok"}'
CANARY_DEGRADED = 'shopfuse_release_answers_total{release_id="r2",outcome="degraded"}'
AGE = "shopfuse_feature_age_seconds"


@dataclass(frozen=True)
class Case:
    """Series in promtool's notation, a value a minute; the minutes at which the alert fires, and no longer fires."""

    alert: str
    series: dict[str, str]
    fires: int
    ended: int
    silent: tuple[str, ...] = field(default=())  # other alerts that must not fire beside it


CASES = (
    Case("AvailabilityBudgetBurnsFast", {CALLS: "0+60x90", LOST: "0+30x20 600x70"}, 10, 60),
    Case("AvailabilityBudgetBurnsFast", {TYPED_CALLS: "0+60x90", TYPED_LOST: "0+30x20 600x70"}, 10, 60),
    Case("AvailabilityBudgetBurnsSlowly", {CALLS: "0+997x240", LOST: "0+3x60 180x180"}, 30, 220,
         silent=("AvailabilityBudgetBurnsFast",)),
    Case("LatencyBudgetBurnsFast", {TIMED: "0+60x90", IN_TIME: "0+30x20 660+60x70"}, 10, 60),
    Case("LatencyBudgetBurnsFast", {TYPED: "0+60x90", TYPED_IN_TIME: "0+30x20 660+60x70"}, 10, 60),
    Case("LatencyBudgetBurnsSlowly", {TIMED: "0+1000x240", IN_TIME: "0+970x60 59200+1000x180"}, 30, 220,
         silent=("LatencyBudgetBurnsFast",)),
    Case("WholeAnswersBudgetBurnsFast", {WHOLE: "0+60x90", DEGRADED: "0+60x20 1200x70"}, 10, 60),
    Case("WholeAnswersBudgetBurnsSlowly", {WHOLE: "0+970x240", DEGRADED: "0+30x60 1800x180"}, 30, 220,
         silent=("WholeAnswersBudgetBurnsFast",)),
    Case("ErrorBudgetSpent", {CALLS: "0+995x500", LOST: "0+5x70 350x430"}, 68, 420),
    Case("GatewayDown", {'up{job="shopfuse-gateway",instance="a"}': "1x2 0x5 1x5",
                         'up{job="shopfuse-gateway",instance="b"}': "1x12"}, 5, 10),
    Case("GatewayDown", {'up{job="shopfuse-gateway",instance="a"}': "1x2 stale _x5 1x5"}, 5, 11),
    Case("TritonDown", {'up{job="triton",instance="a"}': "1x2 0x5 1x5"}, 5, 10, silent=("TargetDown",)),
    Case("TritonDown", {'up{job="triton",instance="a"}': "1x2 stale _x5 1x5"}, 5, 11),
    Case("TargetDown", {'up{job="prometheus"}': "1x2 0x10 1x10"}, 9, 15),
    Case("StageDegraded", {'shopfuse_degraded_total{stage="rank",reason="RANKER_LATE"}': "0+10x20 200x20",
                           WHOLE: "0+60x40"}, 15, 30),
    Case("RequestsRefused", {'shopfuse_shed_total{reason="in_flight"}': "0+10x15 150x20",
                             "grpc_server_started_total": "0+60x40"}, 8, 25),
    Case("GatewayNearlyFull", {"shopfuse_inflight_requests": "60x15 5x20", "shopfuse_inflight_limit": "64x40"}, 8, 25),
    Case("TritonQueueGrows", {'nv_inference_pending_request_count{model="fusion_ranker"}': "30x15 0x20"}, 8, 25),
    Case("TritonRequestsFail", {'nv_inference_request_failure{model="fusion_ranker",reason="OTHER"}':
                                "0+60x15 900x20"}, 8, 25),
    Case("EngineNotUsed", {'shopfuse_engine_fallbacks_total{model="text_encoder",version="1",reason="gpu"}':
                           "1x10 stale"}, 7, 12),
    Case("ReleaseTooOld", {"shopfuse_index_age_seconds": "700000+60x70 60+60x20"}, 65, 75),
    Case("WorkspaceOutOfStep", {'shopfuse_sync_in_step{instance="a"}': "1x2 0x20 1x5",
                                'shopfuse_sync_in_step{instance="b"}': "1x2 0x4 1x20"}, 15, 25),
    Case("ReleaseRefused", {'shopfuse_release_refused_total{reason="damaged"}': "0x5 1x40"}, 7, 30),
    Case("GatewaysDisagree", {'shopfuse_release_info{instance="a",release_id="r1"}': "1x40",
                              'shopfuse_release_info{instance="b",release_id="r2"}': "1x20 stale",
                              'shopfuse_release_info{instance="b",release_id="r1"}': "_x21 1x20"}, 12, 25),
    Case("CanaryWorseThanStable", {WHOLE: "0+600x40", DEGRADED: "0x40", CANARY: "0+50x40",
                                   CANARY_DEGRADED: "0+10x20 200x20",
                                   'shopfuse_release_info{release_id="r1"}': "1x40"}, 10, 35),
    Case("FeaturesMissing", {'shopfuse_feature_missing_total{feature="item"}': "0+3000x20 60000x20",
                             'shopfuse_feature_reads_total{feature="item"}': "0+12000x40"}, 15, 35),
    Case("EmptyAnswers", {'shopfuse_zero_results_total{grpc_method="Search"}': "0+30x80 2400x60", CALLS: "0+60x140"},
         45, 120),
    Case("FeaturesOld", {f'{AGE}_bucket{{le="604800.0"}}': "0x80 0+60x40",
                         f'{AGE}_bucket{{le="2592000.0"}}': "0+60x120", f'{AGE}_bucket{{le="+Inf"}}': "0+60x120"},
         78, 110),
    Case("ImpressionsDropped", {'shopfuse_impressions_dropped_total{reason="disk"}': "0+5x15 75x20"}, 8, 25),
)  # fmt: skip
NEVER_ENDS = {"Watchdog"}


def firing(name: str, minute: int, count: int) -> dict[str, object]:
    """promtool's question for how many series of an alert fire: `count`, where 0 is no sample at all."""
    return {
        "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": count}] if count else [],
    }


def run_promtool(promtool: str, folder: Path, series: dict[str, str], questions: list[dict[str, object]]) -> str:
    """What promtool says against it; "" where all is as expected."""
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": questions}
    file = folder / "test.yaml"
    rules = [str(path) for path in RULES.glob("*.yaml")]
    file.write_text(yaml.safe_dump({"rule_files": rules, "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_and_ends(promtool: str, tmp_path: Path, case: Case) -> None:
    questions = [firing(case.alert, case.fires, 1), firing(case.alert, case.ended, 0), firing(case.alert, 0, 0)]
    questions += [firing(other, case.fires, 0) for other in case.silent]

    assert run_promtool(promtool, tmp_path, case.series, questions) == ""


def test_a_case_that_does_not_hold_is_told(promtool: str, tmp_path: Path) -> None:
    series = {'up{job="prometheus"}': "1x20"}

    assert "TargetDown" in run_promtool(promtool, tmp_path, series, [firing("TargetDown", 9, 1)])


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} | NEVER_ENDS == {alert.name for alert in ALERTS}


def test_alerting_itself_is_watched(promtool: str, tmp_path: Path) -> None:
    assert run_promtool(promtool, tmp_path, {}, [firing("Watchdog", minute, 1) for minute in (0, 60)]) == ""


def test_few_failures_in_little_traffic_wake_nobody(promtool: str, tmp_path: Path) -> None:
    series = {CALLS: "0+1x60", LOST: "0x5 3x55"}
    questions = [firing("AvailabilityBudgetBurnsFast", minute, 0) for minute in range(0, 60, 5)]

    assert run_promtool(promtool, tmp_path, series, questions) == ""


def test_a_canary_that_hardly_answered_is_not_judged(promtool: str, tmp_path: Path) -> None:
    series = {WHOLE: "0+600x40", DEGRADED: "0x40", CANARY: "0+5x40", CANARY_DEGRADED: "0+2x40",
              'shopfuse_release_info{release_id="r1"}': "1x40"}  # fmt: skip

    assert run_promtool(promtool, tmp_path, series, [firing("CanaryWorseThanStable", 30, 0)]) == ""
