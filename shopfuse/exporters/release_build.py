"""Puts a release together: staged, hashed, signed, renamed. It appears whole, and nothing is served by it yet.

Publishing it is another step: see shopfuse.publishing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.exporters.build_record import StepTimes, peak_memory_mb
from shopfuse.exporters.catalogue_encoding import EncodedItems
from shopfuse.exporters.ensemble_config import ensemble_config, roles_of
from shopfuse.exporters.golden_set import write_golden
from shopfuse.exporters.online_rows import write_online_rows
from shopfuse.exporters.parity_cases import RealInputs
from shopfuse.exporters.release_files import file_hashes, write_release_files
from shopfuse.exporters.release_models import known_models, put_ensemble, put_models
from shopfuse.exporters.shop import Shop
from shopfuse.exporters.staging import staged_folder, write_synced
from shopfuse.exporters.text_heads import label_counts
from shopfuse.exporters.verified_model import VerifiedModel
from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import schema_hash
from shopfuse.ranking.labels import labels_json
from shopfuse.ranking.text_heads import HEADS
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import LABELS, Manifest, ModelVersion, model_file
from shopfuse.release.signature import create_keys, private_key_of, public_key_of, sign
from shopfuse.training.shop_models import ShopModels
from shopfuse.training.text_encoder import LoadedTextEncoder
from shopfuse.training.train_text_head import TrainedHead

_RELEASE = re.compile(r"r([1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Golden:
    """What the golden queries are made of: their tokens, and by model the inputs that it was verified with."""

    tokens: Sequence[Sequence[int]]
    real_inputs: Mapping[str, RealInputs]


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
    target: str
    golden: Golden
    heads: Mapping[str, TrainedHead] = field(default_factory=dict)


def make_release(workspace: Workspace, parts: ReleaseParts, times: StepTimes, progress: Progress) -> Manifest:
    """Writes and signs the next release of the workspace; the caller holds its lock."""
    release_id = next_release_id(workspace.releases_dir)
    key = _signing_key(workspace.root)
    with staged_folder(workspace.release_dir(release_id)) as staged:
        layout = ReleaseLayout(staged)
        with times.step("write indexes"):
            encoder = parts.text_encoder
            tokenizer, max_tokens = encoder.tokenizer_json, encoder.max_tokens
            write_release_files(layout, parts.shop, parts.items, Path(tokenizer), max_tokens, progress)
            RecallIndexes.open(layout)  # what cannot be opened here is not released
        with times.step("write models"):
            known = known_models(workspace.releases_dir, workspace.model_repository)
            versions = put_models(layout.models, parts.verified, known, parts.target)
            ensembles = _put_ensembles(layout.models, release_id, parts.verified, versions)
            if parts.heads:
                labels = labels_json({name: head.labels for name, head in parts.heads.items()})
                write_synced(layout.labels, labels.encode())
        with times.step("write golden queries"):
            heads = {name: head.module for name, head in parts.heads.items()}
            modules = {**parts.models.modules, **heads, "text_encoder": encoder.module}
            golden = parts.golden
            write_golden(
                layout.golden, parts.verified, modules, golden.tokens, golden.real_inputs, max_tokens, parts.target
            )
        with times.step("write manifest"):
            manifest = _manifest(release_id, parts, versions, ensembles, file_hashes(staged), times)
            write_synced(layout.manifest, manifest.to_json().encode())
            write_synced(layout.signature, sign(manifest.to_json().encode(), key))
    with times.step("write feature store"):
        write_online_rows(workspace.store_path, parts.shop, progress)
    return manifest


def _signing_key(workspace: Path) -> Path:
    """The workspace's private key; a workspace that never had keys gets a pair."""
    private = private_key_of(workspace)
    if not private.exists() and not public_key_of(workspace).exists():
        create_keys(private.parent)
    return private


def next_release_id(releases: Path) -> str:
    """One more than the highest number so far."""
    names = [path.name for path in releases.iterdir()] if releases.is_dir() else []
    return f"r{1 + max((int(match[1]) for name in names if (match := _RELEASE.fullmatch(name))), default=0)}"


def _put_ensembles(
    folder: Path, release_id: str, verified: Mapping[str, VerifiedModel], versions: Mapping[str, ModelVersion]
) -> dict[str, str]:
    declared = {name: model.declaration for name, model in verified.items()}
    return {
        role: put_ensemble(folder, ensemble_config(role, release_id, declared, versions)) for role in roles_of(declared)
    }


def _built_with(versions: Mapping[str, ModelVersion], files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Which models computed which files, by their hashes: an index of another encoder is found out before it serves."""
    text = {"text_encoder": versions["text_encoder"].sha256}
    pictures = {"image_encoder": versions["image_encoder"].sha256} if "image_encoder" in versions else {}
    items = text | pictures | {"item_tower": versions["item_tower"].sha256}
    text_encoder = versions["text_encoder"]
    visual = {"indexes/visual.faiss": pictures} if pictures else {}
    heads = {name: versions[name].sha256 for name in HEADS if name in versions}
    labelled = {LABELS: heads} if heads else {}
    trained_on = {model_file(versions[name]): text for name in heads}
    return (
        visual
        | labelled
        | trained_on
        | {
            model_file(text_encoder): {"tokenizer.json": files["tokenizer.json"]},
            "indexes/semantic.faiss": text,
            "indexes/categories/prototypes.npy": text,
            "indexes/behaviour.faiss": items,
            "items/item_vectors.npy": items,
            "items/modality_vectors.npy": items,
        }
    )


def _manifest(
    release_id: str,
    parts: ReleaseParts,
    versions: dict[str, ModelVersion],
    ensembles: dict[str, str],
    files: dict[str, str],
    times: StepTimes,
) -> Manifest:
    models = parts.models
    return Manifest(
        release_id=release_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        models=versions,
        ensembles=ensembles,
        files=files,
        target=parts.target,
        built_with=_built_with(versions, files),
        items=len(parts.shop.catalogue),
        text_dim=parts.text_encoder.text_dim,
        text_encoder=parts.text_encoder.source,
        image_encoder=models.image_source if models.image_encoder is not None else "",
        image_dim=models.image_dim,
        image_size=models.image_size,
        max_tokens=parts.text_encoder.max_tokens,
        feature_schema=schema_hash(models.scenes, CHANNELS),
        scenes=models.scenes,
        fusion=models.fusion,
        tasks=models.tasks,
        language=parts.shop.catalogue.language,
        search_weights=models.search_weights,
        labels=label_counts(parts.heads),
        metrics={**models.metrics, **parts.metrics},
        overrides={name: model.report.accepted for name, model in parts.verified.items() if model.report.accepted},
        parity={name: model.report.as_dict() for name, model in parts.verified.items()},
        made_by={**models.made_by, **parts.made_by, "seconds": dict(times.seconds), "peak_memory_mb": peak_memory_mb()},
    )
