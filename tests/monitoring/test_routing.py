"""Who is told what: Alertmanager's own tool follows the routes; every alert has its entry in the runbook."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from monitoring.alerts import ALERTS
from tests.docs.test_paths import slug

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "monitoring" / "alertmanager.yml"
RECEIVERS = {"page": "on-call", "ticket": "tickets", "none": "dead-mans-switch"}
PARTS = ("Means", "First looks", "Actions")


def runbook() -> dict[str, str]:
    """Anchor -> the text of its entry."""
    entries = (ROOT / "docs" / "runbook.md").read_text().split("\n## ")[1:]
    return {slug(entry.partition("\n")[0]): entry for entry in entries}


def test_alertmanager_takes_its_configuration(amtool: str) -> None:
    subprocess.run([amtool, "check-config", str(CONFIG)], check=True, capture_output=True)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_alerts_reach_their_receiver(amtool: str, alert: object) -> None:
    name, severity = alert.name, alert.severity  # type: ignore[attr-defined]
    command = [amtool, "config", "routes", "test", f"--config.file={CONFIG}", f"alertname={name}"]
    done = subprocess.run([*command, f"severity={severity}"], check=True, capture_output=True, text=True)

    assert done.stdout.split() == [RECEIVERS[severity]]


def test_inhibitions_name_alerts_that_exist(amtool: str) -> None:
    rules = yaml.safe_load(CONFIG.read_text())["inhibit_rules"]
    texts = [matcher for rule in rules for side in ("source_matchers", "target_matchers") for matcher in rule[side]]
    plain = {name for text in texts for name in text.partition('"')[2].rstrip('"').split("|") if "*" not in name}

    assert plain
    assert plain <= {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_link_of_an_alert_leads_to_its_entry(alert: object) -> None:
    page, _, anchor = alert.runbook.partition("#")  # type: ignore[attr-defined]
    entry = runbook().get(anchor, "")

    assert (ROOT / page).is_file()
    assert entry, f"docs/runbook.md has no heading for {anchor}"
    assert all(f"**{part}.**" in entry for part in PARTS)


def test_the_runbook_speaks_of_no_alert_that_is_gone() -> None:
    assert runbook().keys() == {alert.name.lower() for alert in ALERTS}
