"""Rules and dashboards of monitoring/ become resources, and none is forgotten."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.k8s.rendered import K8S, ROOT, kustomize

RULES = "groups:\n- name: shop\n  rules:\n  - alert: Slow\n    expr: up == 0\n"
OVERLAY = "kind: Kustomization\nresources: [../k8s/base]\ncomponents: [../k8s/components/monitoring]\n"


def written(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "k8s" / "monitoring.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_deployed_is_what_monitoring_holds() -> None:
    done = written(ROOT, "--check")

    assert done.returncode == 0, done.stdout


def test_rules_and_dashboards_are_deployed_and_a_new_one_is_missed(tmp_path: Path) -> None:
    shutil.copytree(K8S, tmp_path / "k8s")
    for name, file, text in (("rules", "shop.yaml", RULES), ("dashboards", "shop.json", '{"title": "Shop"}')):
        (tmp_path / "monitoring" / name).mkdir(parents=True)
        (tmp_path / "monitoring" / name / file).write_text(text)
    (tmp_path / "overlay").mkdir()
    (tmp_path / "overlay" / "kustomization.yaml").write_text(OVERLAY)
    assert written(tmp_path, "--check").returncode == 1

    assert written(tmp_path).returncode == 0

    assert written(tmp_path, "--check").returncode == 0
    done = kustomize(tmp_path / "overlay")
    assert done.returncode == 0, done.stderr
    resources = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.stdout)}
    assert resources["PrometheusRule", "shopfuse"]["spec"] == yaml.safe_load(RULES)
    dashboard = resources["ConfigMap", "dashboard-shop"]
    assert dashboard["data"] == {"shop.json": '{"title": "Shop"}'}
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    (tmp_path / "monitoring" / "dashboards" / "second.json").write_text("{}")
    assert "kustomization.yaml is out of date" in written(tmp_path, "--check").stdout
