"""Puts a release together: staged, hashed, renamed, and only then served. A crash leaves the last good one in place.

Everything that can fail comes before what others see: the release appears by one rename, the store is written after
it, and the channel is flipped last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopfuse.datasets.workspace import Workspace
from shopfuse.exporters.build_record import StepTimes, peak_memory_mb
from shopfuse.exporters.catalogue_encoding import EncodedItems
from shopfuse.exporters.ensemble_config import ROLES, ensemble_config
from shopfuse.exporters.online_rows import write_online_rows
from shopfuse.exporters.release_files import file_hashes, write_release_files
from shopfuse.exporters.repository import put_ensemble, put_model
from shopfuse.exporters.shop import Shop
from shopfuse.exporters.staging import staged_folder, write_synced
from shopfuse.exporters.verified_model import VerifiedModel
from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import schema_hash
from shopfuse.ranking.progress import Progress
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.release.layout import ReleaseLayout, read_channels, write_channels
from shopfuse.release.manifest import Manifest, ModelVersion
from shopfuse.release.verify import sha256_file
from shopfuse.training.shop_models import ShopModels
from shopfuse.training.text_encoder import LoadedTextEncoder

STABLE = "stable"
_RELEASE = re.compile(r"r([1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class ReleaseParts:
    """All that goes into one release. `verified` are its models by name."""

    shop: Shop
    items: EncodedItems
    verified: Mapping[str, VerifiedModel]
    text_encoder: LoadedTextEncoder
    models: ShopModels
    metrics: dict[str, Any]
    made_by: dict[str, Any]


def make_release(workspace: Workspace, parts: ReleaseParts, times: StepTimes, progress: Progress) -> Manifest:
    """Writes the next release of the workspace and serves it as "stable" from now on; the caller holds its lock."""
    release_id = next_release_id(workspace.releases_dir)
    with staged_folder(workspace.release_dir(release_id)) as staged:
        layout = ReleaseLayout(staged)
        with times.step("write indexes"):
            encoder = parts.text_encoder
            tokenizer, max_tokens = encoder.tokenizer_json, encoder.max_tokens
            write_release_files(layout, parts.shop, parts.items, Path(tokenizer), max_tokens, progress)
            RecallIndexes.open(layout)  # what cannot be opened here is not released
        with times.step("write models"):
            versions = _put_models(workspace.model_repository, parts.verified)
            ensembles = _put_ensembles(workspace.model_repository, release_id, parts.verified, versions)
            configs = _ensemble_hashes(workspace.model_repository, ensembles)
        with times.step("write manifest"):
            manifest = _manifest(release_id, parts, versions, ensembles, configs, file_hashes(staged), times)
            write_synced(layout.manifest, manifest.to_json().encode())
    with times.step("write feature store"):
        write_online_rows(workspace.store_path, parts.shop, progress)
    write_channels(workspace.releases_dir, {**read_channels(workspace.releases_dir), STABLE: release_id})
    return manifest


def next_release_id(releases: Path) -> str:
    """One more than the highest number so far."""
    names = [path.name for path in releases.iterdir()] if releases.is_dir() else []
    return f"r{1 + max((int(match[1]) for name in names if (match := _RELEASE.fullmatch(name))), default=0)}"


def _put_models(repository: Path, verified: Mapping[str, VerifiedModel]) -> dict[str, ModelVersion]:
    return {name: put_model(repository, model.declaration, model.path) for name, model in verified.items()}


def _put_ensembles(
    repository: Path, release_id: str, verified: Mapping[str, VerifiedModel], versions: Mapping[str, ModelVersion]
) -> dict[str, str]:
    declared = {name: model.declaration for name, model in verified.items()}
    numbers = {name: version.version for name, version in versions.items()}
    return {role: put_ensemble(repository, ensemble_config(role, release_id, declared, numbers)) for role in ROLES}


def _ensemble_hashes(repository: Path, ensembles: Mapping[str, str]) -> dict[str, str]:
    configs = [repository / name / "config.pbtxt" for name in ensembles.values()]
    return {str(config.relative_to(repository)): sha256_file(config) for config in configs}


def _manifest(
    release_id: str,
    parts: ReleaseParts,
    versions: dict[str, ModelVersion],
    ensembles: dict[str, str],
    ensemble_files: dict[str, str],
    files: dict[str, str],
    times: StepTimes,
) -> Manifest:
    models = parts.models
    return Manifest(
        release_id=release_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        models=versions,
        ensembles=ensembles,
        ensemble_files=ensemble_files,
        files=files,
        items=len(parts.shop.catalogue),
        text_dim=parts.text_encoder.text_dim,
        text_encoder=parts.text_encoder.source,
        max_tokens=parts.text_encoder.max_tokens,
        feature_schema=schema_hash(models.scenes, CHANNELS),
        scenes=models.scenes,
        fusion=models.fusion,
        tasks=models.tasks,
        metrics={**models.metrics, **parts.metrics},
        parity={name: model.report.as_dict() for name, model in parts.verified.items()},
        made_by={**models.made_by, **parts.made_by, "seconds": dict(times.seconds), "peak_memory_mb": peak_memory_mb()},
    )
