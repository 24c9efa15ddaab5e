"""Writes what components/monitoring deploys from monitoring/: run `python k8s/monitoring.py` after a change there.

Rules become one PrometheusRule, a copy because kustomize cannot put a file below `spec`; dashboards become ConfigMaps,
generated where they lie. `--check` writes nothing: exit code 1 where something is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
RULES = ROOT / "monitoring" / "rules"
DASHBOARDS = ROOT / "monitoring" / "dashboards"
GENERATED = ROOT / "k8s" / "components" / "monitoring" / "generated"
HEAD = "# Written by `python k8s/monitoring.py`: change monitoring/.\n"
KUSTOMIZATION = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def wanted() -> dict[Path, str]:
    """Every file with its text."""
    rules = sorted(RULES.glob("*.yaml"))
    dashboards = sorted(DASHBOARDS.glob("*.json"))
    files: dict[Path, object] = {}
    if rules:
        files[GENERATED / "rules.yaml"] = _prometheus_rule(rules)
    if dashboards:
        files[DASHBOARDS / "kustomization.yaml"] = _config_maps(dashboards)
    resources = ["rules.yaml"] * bool(rules) + ["../../../../monitoring/dashboards"] * bool(dashboards)
    # kustomize refuses a kustomization that does nothing, so one without resources has the label all the same.
    files[GENERATED / "kustomization.yaml"] = {
        **KUSTOMIZATION,
        "resources": resources,
        "labels": [{"pairs": {"app.kubernetes.io/component": "monitoring"}}],
    }
    return {path: HEAD + yaml.safe_dump(value, sort_keys=False, width=120) for path, value in files.items()}


def _prometheus_rule(files: list[Path]) -> dict[str, object]:
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "shopfuse"},
        "spec": {"groups": groups},
    }


def _config_maps(files: list[Path]) -> dict[str, object]:
    """One for each dashboard: a ConfigMap holds a megabyte. Grafana's sidecar finds them by the label."""
    maps = [{"name": f"dashboard-{file.stem}", "files": [file.name]} for file in files]
    options = {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}}
    return {**KUSTOMIZATION, "configMapGenerator": maps, "generatorOptions": options}


def main() -> int:
    files = wanted()
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    stale += [path for path in GENERATED.glob("*") if path not in files]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run `python k8s/monitoring.py`")
        return int(bool(stale))
    for path in stale:
        if path in files:
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
