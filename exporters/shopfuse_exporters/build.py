"""From a workspace's catalogue and events to a release, in one call: what `shopfuse build` runs.

Only the order of the steps; each step has a file of its own, and takes what the steps before it gave.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.catalogue_language import with_language
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.release.manifest import Manifest
from shopfuse.training.checkpoints.model_files import load_models
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.data.provenance import provenance
from shopfuse.training.models.text_encoder import CATALOGUE, load_text_encoder
from shopfuse.training.trainers.build_models import build_models, with_search_weights
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.models.content import export_content_models
from shopfuse_exporters.models.exporter import ModelExporter
from shopfuse_exporters.models.golden_queries import golden_queries
from shopfuse_exporters.models.ranking_gate import gate_rankings
from shopfuse_exporters.models.shop import load_catalogue_of, load_shop
from shopfuse_exporters.models.text_encoder import EncodedTexts, Learning, encode_catalogue_texts, take_text_encoder
from shopfuse_exporters.models.text_heads import export_heads, known_heads, learn_heads
from shopfuse_exporters.models.users import export_user_models
from shopfuse_exporters.precision.precisions import Precisions
from shopfuse_exporters.release.assembly import ReleaseParts, make_release
from shopfuse_exporters.steps import StepTimes, disk_errors_named
from shopfuse_exporters.tensorrt.engines import Engines, build_engines
from shopfuse_exporters.tensorrt.rtx import USUAL, Rtx, open_rtx
from shopfuse_exporters.triton.targets import CPU, ENGINES, check_buildable


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a release is made."""

    train: bool = True  # False: from the checkpoints of the last training
    seed: int = 0
    fusion: str = ""  # "": what the shop's settings say
    precisions: Precisions = field(default_factory=Precisions)
    target: str = CPU
    architectures: tuple[str, ...] = ()  # of GPUs, for target tensorrt-rtx; none: those that are usual
    accepted: Mapping[str, str] = field(default_factory=dict)  # submodel whose parity gate may fail -> recorded reason


def build_workspace(workspace: Workspace, options: BuildOptions | None = None, progress: Progress = silent) -> Manifest:
    """Builds and signs the next release of the workspace. What is served stays served: see shopfuse.publishing.

    Raises a ShopfuseError naming the step, model or file that stopped it.
    """
    options = options or BuildOptions()
    times = StepTimes(progress)
    rtx = _checked(options)
    with disk_errors_named("build"), workspace_lock(workspace.root), _scratch(workspace.paths.build_scratch) as scratch:
        exporter = ModelExporter(scratch, options.precisions, options.accepted, times, for_gpu=options.target != CPU)
        with times.step("read catalogue"):
            workspace, recognised = with_language(workspace)
            catalogue = load_catalogue_of(workspace)
            foreign_prices = catalogue.foreign_prices
        with times.step("load text encoder"):
            name = workspace.settings.text_encoder
            named = None if name == CATALOGUE else load_text_encoder(name)
        learning = Learning(options.train, options.seed, progress)
        taken = take_text_encoder(exporter, workspace, catalogue, named, learning)
        texts = encode_catalogue_texts(exporter, catalogue, taken, progress)
        with times.step("train models" if options.train else "read checkpoints"):
            models = _models(workspace, texts, options, progress)
        texts, models = _without_retired(workspace, texts, models)
        catalogue = texts.catalogue
        queries = golden_queries(workspace.events(), catalogue)
        with times.step("read events"):
            shop = load_shop(workspace, catalogue, models.scenes)
        content = export_content_models(exporter, models, texts, workspace.all_images(), progress)
        users = export_user_models(exporter, shop, models, content.items)
        if options.train:
            heads = learn_heads(workspace, texts, options.seed, times, progress)
        else:
            heads = known_heads(workspace, texts, times)
        exported = (texts.exported, *content.exported, *users, *export_heads(exporter, heads, texts))
        with times.step("golden queries"):
            gated = gate_rankings(exported, texts, queries, models.tasks, options.accepted)
        made = {"seed": options.seed, **provenance(workspace), "fusion_asked": _fusion(workspace, options)}
        if recognised is not None:
            made["language"] = recognised.line
        if taken.told:
            made["text_encoder"] = taken.told
        if foreign_prices:
            made["currency"] = foreign_prices
        engines = Engines({}, {})
        if rtx:
            with times.step("build engines"):
                engines = build_engines(workspace.paths.plans, gated.verified, rtx, progress)
        parts = ReleaseParts(shop, texts, content.items, models, heads, gated, made, options.target, engines)
        return make_release(workspace, parts, times, progress)


def _checked(options: BuildOptions) -> Rtx | None:
    """What builds the engines, for the target that has them. Raises ExportError for options that cannot be met."""
    check_buildable(options.target, (options.precisions.others, *options.precisions.named.values()))
    if options.target == ENGINES:
        return open_rtx(options.architectures or USUAL)
    if options.architectures:
        raise ExportError(f"GPU architectures are named for target {ENGINES} only, this is {options.target}")
    return None


def _models(workspace: Workspace, texts: EncodedTexts, options: BuildOptions, progress: Progress) -> ShopModels:
    """Trained now, or read from the last training's checkpoints."""
    if options.train:
        models = build_models(
            workspace,
            texts.meanings.astype(np.float32),
            texts.encode,
            seed=options.seed,
            fusion=_fusion(workspace, options),
            progress=progress,
        )
    else:
        models = load_models(workspace.paths.checkpoints, texts.catalogue.ids)
    # What judgments chose is not changed.
    return models if models.search_weights else with_search_weights(models, texts.taken.search_weights)


def _without_retired(workspace: Workspace, texts: EncodedTexts, models: ShopModels) -> tuple[EncodedTexts, ShopModels]:
    """What was learned, of the items that the shop still sells: a release holds no others."""
    retired = set(workspace.retired_items().select("item_id").collect()["item_id"])
    if not retired:
        return texts, models
    sold = np.array([row for row, item_id in enumerate(texts.catalogue.ids) if item_id not in retired])
    catalogue = texts.catalogue
    with_image = catalogue.frame["item_id"].filter(pl.Series(catalogue.has_image))
    left = load_catalogue(catalogue.frame[sold], with_image, catalogue.languages)
    return replace(texts, catalogue=left, vectors=texts.vectors[sold]), replace(
        models,
        behaviour_embeddings=models.behaviour_embeddings[sold],
        behaviour_present=models.behaviour_present[sold],
    )


def _fusion(workspace: Workspace, options: BuildOptions) -> str:
    return options.fusion or workspace.settings.fusion


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder for exported files, in the workspace's own file system; gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
