"""Puts a release together: staged, hashed, signed, renamed. It appears whole, and nothing is served by it yet.

Publishing it is another step: see shopfuse.publishing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from shopfuse.core.atomic_files import atomic_folder, write_bytes
from shopfuse.core.processes import peak_memory_mb
from shopfuse.core.progress import Progress
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.shop_settings import ShopSettings
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import schema_hash
from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.labels import labels_json
from shopfuse.recall.arrays import write_array
from shopfuse.recall.completion.entries import CompletionEntries
from shopfuse.recall.completion.index import CompletionIndex, write_completions
from shopfuse.recall.indexes import RecallIndexes, build_indexes
from shopfuse.recall.matching.match_set import build_match_tables
from shopfuse.recall.meaning_floor import NO_FLOOR, meaning_floor
from shopfuse.recall.words.analysis import Analyser
from shopfuse.recall.words.knowledge import SPELLING
from shopfuse.recall.words.spelling import Spelling
from shopfuse.release.ids import next_release_id
from shopfuse.release.ingredients import built_with
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ModelVersion
from shopfuse.release.signature import create_keys, sign
from shopfuse.release.verify import file_hashes
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.state.store import Display
from shopfuse.training.checkpoints.head_files import TrainedHead
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import catalogue_items
from shopfuse.training.data.first_day import popular_scores
from shopfuse.training.data.led_searches import shared_searches
from shopfuse.training.data.snapshot import index_contents
from shopfuse.training.data.user_histories import user_states
from shopfuse_exporters.encoding.catalogue import EncodedItems
from shopfuse_exporters.models.ranking_gate import GatedModels
from shopfuse_exporters.models.shop import Shop
from shopfuse_exporters.models.text_encoder import EncodedTexts
from shopfuse_exporters.models.text_heads import label_counts
from shopfuse_exporters.release.golden_set import write_golden
from shopfuse_exporters.steps import StepTimes
from shopfuse_exporters.tensorrt.engines import Engines
from shopfuse_exporters.triton.ensembles import ensemble_config, roles_of
from shopfuse_exporters.triton.repository import known_models, put_ensemble, put_models
from shopfuse_exporters.triton.targets import ENGINES
from shopfuse_exporters.verify.verified_model import VerifiedModel

ROWS_AT_ONCE = 20_000  # of one transaction: readers see a mix of old and new items for a moment, never half a row


@dataclass(frozen=True, slots=True)
class ReleaseParts:
    """All that goes into one release."""

    shop: Shop
    texts: EncodedTexts
    items: EncodedItems
    models: ShopModels
    heads: Mapping[str, TrainedHead]
    gated: GatedModels
    made_by: dict[str, Any]
    target: str
    engines: Engines

    @property
    def metrics(self) -> dict[str, Any]:
        kept = {"kept_in_fp32": self.gated.kept_in_fp32} if self.gated.kept_in_fp32 else {}
        texts = {"encoded": self.texts.computed, "per_s": self.texts.per_s, **self.texts.taken.record()}
        heads = {name: head.metrics for name, head in self.heads.items()}
        engines = {"engines": self.engines.metrics()} if self.target == ENGINES else {}
        return {**self.models.metrics, "texts": texts, **kept, **heads, **engines}


def make_release(workspace: Workspace, parts: ReleaseParts, times: StepTimes, progress: Progress) -> Manifest:
    """Writes and signs the next release of the workspace; the caller holds its lock."""
    release_id, gated = next_release_id(workspace.paths.releases), parts.gated
    key = _signing_key(workspace.root)
    with atomic_folder(workspace.paths.release(release_id)) as staged:
        layout = ReleaseLayout(staged)
        with times.step("write indexes"):
            _write_indexes(layout, parts.shop, parts.items, parts.texts.encoder.tokenizer, progress)
            _write_completions(layout, parts.shop, workspace.settings.completion_min_users)
            CompletionIndex.open(layout.completion)
            indexes = RecallIndexes.open(layout)  # what cannot be opened here is not released
        with times.step("meaning floor"):
            floor = meaning_floor(indexes, parts.texts.encode) if parts.texts.has_meaning else NO_FLOOR
        with times.step("write models"):
            known = known_models(workspace.paths.releases, workspace.paths.model_repository)
            versions = put_models(layout.models, gated.verified, known, parts.target, parts.engines.files)
            ensembles = _put_ensembles(layout.models, release_id, gated.verified, versions)
            if parts.heads:
                labels = labels_json({name: head.labels for name, head in parts.heads.items()})
                write_bytes(layout.labels, labels.encode())
        with times.step("write golden queries"):
            write_golden(
                layout.golden,
                gated.verified,
                gated.modules,
                gated.tokens,
                gated.real_inputs,
                parts.texts.loaded.max_tokens,
                parts.target,
            )
        with times.step("write manifest"):
            hashes = file_hashes(staged)
            manifest = _manifest(release_id, workspace.settings, parts, versions, ensembles, hashes, floor, times)
            write_bytes(layout.manifest, manifest.to_json().encode())
            write_bytes(layout.signature, sign(manifest.to_json().encode(), key))
    with times.step("write feature store"):
        _write_online_rows(workspace.paths.store, parts.shop, progress)
    return manifest


def _signing_key(workspace: Path) -> Path:
    """The workspace's private key; a workspace that never had keys gets a pair."""
    private = WorkspacePaths(workspace).private_key
    if not private.exists() and not WorkspacePaths(workspace).public_key.exists():
        create_keys(private.parent)
    return private


def _write_indexes(
    layout: ReleaseLayout, shop: Shop, items: EncodedItems, tokenizer: Tokenizer, progress: Progress
) -> None:
    """Fills an empty release folder with everything but models, golden queries and manifest."""
    write_array(layout.item_vectors, items.item_vectors)
    write_array(layout.modality_vectors, items.modality_vectors)
    write_array(layout.modality_mask, items.modality_mask)
    catalogue, rows = shop.catalogue, shop.item_rows
    contents = index_contents(
        catalogue, shop.log.requests, shop.known, rows, items.text_vectors, items.item_vectors, items.image_vectors
    )
    for done, total in build_indexes(layout, contents):
        progress("write indexes", done, total)
    build_match_tables(layout, contents)
    # As it is used: the file that came with a checkpoint often carries a padding to its longest input.
    tokenizer.save(str(layout.tokenizer))


def _write_completions(layout: ReleaseLayout, shop: Shop, min_users: int) -> None:
    """Beside the indexes of words, whose spelling it takes: those come first."""
    catalogue, log = shop.catalogue, shop.log
    popular = popular_scores(shop.item_rows["popularity"], shop.known, catalogue)
    entries = CompletionEntries(catalogue.language)
    for item, popularity in zip(catalogue_items(catalogue.frame), popular.tolist(), strict=True):
        entries.add(item, popularity)
    searched = shared_searches(log.led, min_users)
    found = entries.entries(searched, log.users, Spelling.open(layout.lexical / SPELLING))
    write_completions(layout.completion, found, Analyser(catalogue.language).stem)


def _write_online_rows(path: Path, shop: Shop, progress: Progress) -> None:
    """Items, what is shown of them, and users' histories, to the store at `path`, which all releases share: rows are
    replaced, none is removed. Raises StoreError."""
    ids = shop.catalogue.ids
    with LmdbStore.open(path, readonly=False) as store:
        store.put_users(user_states(shop.log, ids, shop.at))
        start = 0
        for part in _parts(catalogue_items(shop.catalogue.frame)):
            keys = [item.item_id.encode() for item in part]
            store.put_items(keys, shop.item_rows[start : start + len(part)])
            store.put_display(dict(zip(keys, map(_display, part), strict=True)))
            start += len(part)
            progress("write feature store", start, len(ids))


def _parts(items: Iterator[CatalogueItem]) -> Iterator[list[CatalogueItem]]:
    while part := list(islice(items, ROWS_AT_ONCE)):
        yield part


def _display(item: CatalogueItem) -> Display:
    return Display(
        item.title, item.price, item.currency, item.image_uri, item.brand, item.category, group_id=item.group_id
    )


def _put_ensembles(
    folder: Path, release_id: str, verified: Mapping[str, VerifiedModel], versions: Mapping[str, ModelVersion]
) -> dict[str, str]:
    declared = {name: model.declaration for name, model in verified.items()}
    return {
        role: put_ensemble(folder, ensemble_config(role, release_id, declared, versions)) for role in roles_of(declared)
    }


def _manifest(
    release_id: str,
    settings: ShopSettings,
    parts: ReleaseParts,
    versions: dict[str, ModelVersion],
    ensembles: dict[str, str],
    files: dict[str, str],
    floor: float,
    times: StepTimes,
) -> Manifest:
    models, encoder, verified = parts.models, parts.texts.loaded, parts.gated.verified
    return Manifest(
        release_id=release_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        models=versions,
        ensembles=ensembles,
        files=files,
        target=parts.target,
        built_with=built_with(versions, files),
        items=len(parts.shop.catalogue),
        text_dim=encoder.text_dim,
        text_encoder=encoder.source,
        image_encoder=models.image_source if models.image_encoder is not None else "",
        image_dim=models.image_dim,
        image_size=models.image_size,
        max_tokens=encoder.max_tokens,
        feature_schema=schema_hash(models.scenes, CHANNELS),
        scenes=models.scenes,
        fusion=models.fusion,
        tasks=models.tasks,
        ranks_similar=models.ranks_similar,
        language=parts.shop.catalogue.language,
        search_weights=models.search_weights,
        meaning_floor=round(floor, 4),
        without_meaning=parts.texts.taken.without_meaning,
        repeat_purchases=settings.repeat_purchases,
        repeat_purchases_by_category=dict(settings.repeat_purchases_by_category),
        labels=label_counts(parts.heads),
        metrics=parts.metrics,
        overrides={name: model.report.accepted for name, model in verified.items() if model.report.accepted},
        parity={name: model.report.as_dict() for name, model in verified.items()},
        made_by={**models.made_by, **parts.made_by, "seconds": dict(times.seconds), "peak_memory_mb": peak_memory_mb()},
    )
