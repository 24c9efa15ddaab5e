"""The channels' weights that a shop's judgments chose: one file of a workspace, used by the next build.

Without the file the recipe of ranking.fusion applies. How good weights are is not checked here: they are written by
`shopfuse evaluate search --cross-validate`, which says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shopfuse.core.atomic_files import write_text
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.ranking.channels import CHANNELS

MAX_WEIGHT = 100.0


class SearchWeightsError(ShopfuseError):
    """A file of weights that cannot be used."""


def write_search_weights(workspace: Path, weights: Mapping[str, float], made_by: Mapping[str, Any]) -> Path:
    """Replaces the workspace's weights; `made_by` says what chose them."""
    path = WorkspacePaths(workspace).search_weights
    content = {"weights": {name: round(weight, 6) for name, weight in weights.items()}, "made_by": dict(made_by)}
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path


def read_search_weights(workspace: Path) -> dict[str, float]:
    """The weight of each channel in a search; empty where nothing was chosen. Raises SearchWeightsError naming what is
    wrong with the file."""
    path = WorkspacePaths(workspace).search_weights
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))["weights"]
        weights = {str(name): float(weight) for name, weight in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SearchWeightsError(f"{path}: expected weights by channel ({error!r})") from error
    for name, weight in weights.items():
        if name not in CHANNELS:
            raise SearchWeightsError(f"{path}: no channel {name!r}; expected some of {', '.join(CHANNELS)}")
        if not (math.isfinite(weight) and 0.0 <= weight <= MAX_WEIGHT):
            raise SearchWeightsError(f"{path}: weight of {name!r} is {weight}, expected 0 to {MAX_WEIGHT:g}")
    return weights
