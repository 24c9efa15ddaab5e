"""The manifest of a release that has next to nothing; a test replaces the part that it is about."""

from __future__ import annotations

from shopfuse.release.manifest import Manifest, ModelVersion


def tiny_manifest(release_id: str, models: dict[str, ModelVersion]) -> Manifest:
    """One item, one task, no files."""
    return Manifest(
        release_id=release_id,
        created_at="2026-01-01T00:00:00+00:00",
        models=models,
        ensembles={},
        files={},
        target="cpu",
        built_with={},
        items=1,
        text_dim=1,
        text_encoder="tiny",
        max_tokens=16,
        feature_schema="tiny",
        scenes=(),
        fusion="weighted",
        tasks={"click": 1.0},
    )
