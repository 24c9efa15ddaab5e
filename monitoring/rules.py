"""Objectives and alerts as Prometheus' rule groups."""

from __future__ import annotations

from monitoring.alerts import ALERTS, Alert
from monitoring.objectives import BURN_WINDOWS, COUNTED_WINDOWS, OBJECTIVES, PERIOD, Objective

Rule = dict[str, object]
Groups = dict[str, list[dict[str, object]]]
BAD, TOTAL = "slo:bad:rate5m", "slo:total:rate5m"
FIRST_WINDOW = "5m"


def _recorded(objective: Objective) -> list[Rule]:
    expressions = {"slo:objective:ratio": f"vector({objective.share})", BAD: objective.bad, TOTAL: objective.total}
    for (
        window
    ) in COUNTED_WINDOWS.values():  # of the counters themselves: an average of little data would guess the rest
        expressions[f"slo:bad_requests:{window}"] = (
            f"({objective.bad.replace('[5m]', f'[{window}]')}) * {int(window[:-1]) * 3600}"
        )
    return [
        {"record": name, "expr": expr, "labels": {"slo": objective.slo, "rpc": objective.rpc}}
        for name, expr in expressions.items()
    ]


def _burn_rate(window: str) -> Rule:
    """Long windows are averages of the five-minute rates: as true, and cheap over 30 days."""
    bad, total = (
        (BAD, TOTAL) if window == FIRST_WINDOW else (f"avg_over_time({name}[{window}])" for name in (BAD, TOTAL))
    )
    return {"record": f"slo:burn_rate:{window}", "expr": f"{bad} / {total} / (1 - slo:objective:ratio)"}


def _objectives() -> list[Rule]:
    windows = [*sorted({window for pair in BURN_WINDOWS for window in (pair.short, pair.long)}), PERIOD]
    return [
        *(rule for objective in OBJECTIVES for rule in _recorded(objective)),
        *map(_burn_rate, windows),
        {"record": "slo:error_budget_left:ratio", "expr": f"1 - slo:burn_rate:{PERIOD}"},
    ]


def _releases() -> list[Rule]:
    degraded, answers = (
        f"sum by (release_id) (rate(shopfuse_release_answers_total{labels}[5m]))"
        for labels in ('{outcome="degraded"}', "")
    )
    return [{"record": "release:degraded:ratio_rate5m", "expr": f"{degraded} / {answers}"}]


def _alerting(alert: Alert, hold: str) -> Rule:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": hold,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": alert.runbook,
        },
    }


def rule_files(hold: str = "") -> dict[str, Groups]:
    """File name -> its groups. With `hold`, every alert waits that long and no longer: for tests."""
    alerts = [_alerting(alert, hold or alert.hold) for alert in ALERTS]
    return {
        "recorded.yaml": {
            "groups": [{"name": "objectives", "rules": _objectives()}, {"name": "releases", "rules": _releases()}]
        },
        "alerts.yaml": {"groups": [{"name": "alerts", "rules": alerts}]},
    }


def expressions() -> dict[str, str]:
    """The rule's name -> its query, for each rule; recorded ones by name and labels."""
    found: dict[str, str] = {}
    for file in rule_files().values():
        for group in file["groups"]:
            rules: list[Rule] = group["rules"]  # type: ignore[assignment]
            for rule in rules:
                labels = rule.get("labels", "") if "record" in rule else ""
                found[f"{rule.get('alert') or rule['record']} {labels}".strip()] = str(rule["expr"])
    return found
