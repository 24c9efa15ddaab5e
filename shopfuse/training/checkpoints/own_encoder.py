"""Which text encoder a workspace uses between two builds: the one that its settings name, or the one that the last
build trained on the shop's own texts and took in its place.
"""

from __future__ import annotations

import json
from typing import Any

from shopfuse.datasets.workspace import Workspace
from shopfuse.training.models.text_encoder import CATALOGUE

OWN_META = "meta.json"


def own_meta(workspace: Workspace) -> dict[str, Any] | None:
    """How the encoder of the shop's own texts was made and how it did; None where there is none for these settings."""
    path = workspace.paths.own_text_encoder / OWN_META
    try:
        meta: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    asked_for = workspace.settings.text_encoder
    return meta if isinstance(meta, dict) and meta.get("asked_for") == asked_for else None


def encoder_name(workspace: Workspace) -> str:
    """What to load as the workspace's text encoder."""
    named, meta = workspace.settings.text_encoder, own_meta(workspace)
    won = bool(meta and (meta.get("trial") or {}).get("won"))
    return str(workspace.paths.own_text_encoder) if won or (meta and named == CATALOGUE) else named
