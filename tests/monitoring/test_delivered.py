"""The files written by hand fit those that are rendered: Prometheus' configuration, and what Grafana is to load."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from monitoring.boards import BOARDS
from monitoring.local_prometheus import CONFIG
from monitoring.render import HERE
from monitoring.rules import expressions

PROVISIONING = HERE / "grafana" / "provisioning"
JOB = re.compile(r'job="([^"]+)"')


def test_prometheus_takes_its_configuration(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "config", str(CONFIG)], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(list((HERE / 'rules').glob('*.yaml')))} rule files found" in done.stdout


def test_jobs_that_queries_name_are_scraped() -> None:
    queries = [query.expr for board in BOARDS for panel in board.panels for query in panel.queries]
    named = {job for expr in (*queries, *expressions().values()) for job in JOB.findall(expr)}
    scraped = {job["job_name"] for job in yaml.safe_load(CONFIG.read_text())["scrape_configs"]}

    assert named
    assert named <= scraped


@pytest.mark.parametrize(("kind", "key"), [("datasources", "datasources"), ("dashboards", "providers")])
def test_grafana_is_told_where_to_look(kind: str, key: str) -> None:
    (file,) = (PROVISIONING / kind).glob("*.yaml")
    told = yaml.safe_load(file.read_text())

    assert told["apiVersion"] == 1
    assert len(told[key]) == 1


def test_grafana_knows_how_often_prometheus_scrapes() -> None:
    (file,) = (PROVISIONING / "datasources").glob("*.yaml")
    (source,) = yaml.safe_load(file.read_text())["datasources"]

    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == yaml.safe_load(CONFIG.read_text())["global"]["scrape_interval"]
