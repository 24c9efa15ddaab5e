"""Only models that answer as they were trained are published, or ones that somebody has accepted, giving a reason."""

from __future__ import annotations

from typing import Any

from shopfuse.publishing.errors import PublishError
from shopfuse.release.manifest import Manifest


def check_parity(manifest: Manifest) -> None:
    """Fails closed: a model without a report has not passed."""
    reports = dict.fromkeys(manifest.models) | manifest.parity
    for model, report in sorted(reports.items()):
        if not _passed(report) and not manifest.overrides.get(model, "").strip():
            raise PublishError(f"{model}: {_failure(report)}, and manifest.overrides has no reason to accept it")


def _passed(report: Any) -> bool:
    return isinstance(report, dict) and report.get("passed") is True


def _failure(report: Any) -> str:
    if not isinstance(report, dict):
        return "there is no parity report"
    told = ("problem", "max_abs_diff", "cosine_min", "worst_case")
    found = ", ".join(f"{name} {report[name]}" for name in told if name in report)
    return f"its parity check failed ({found or 'no numbers'})"
