"""From a workspace's catalogue and events to a release, in one call: what `shopfuse build` runs.

Only the order of the steps; each step has a file of its own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.exporters import real_inputs
from shopfuse.exporters.build_record import StepTimes, disk_errors_named, made_by
from shopfuse.exporters.catalogue_encoding import EncodedItems, ItemInputs, encode_images, encode_items, encode_texts
from shopfuse.exporters.encoding_workspace import export_text_encoder
from shopfuse.exporters.errors import PrecisionError
from shopfuse.exporters.golden_queries import golden_queries
from shopfuse.exporters.parity_cases import RealInputs
from shopfuse.exporters.precision import FULL, Precisions
from shopfuse.exporters.ranking_gate import gate_lists, gate_texts
from shopfuse.exporters.release_build import Golden, ReleaseParts, make_release
from shopfuse.exporters.shop import Shop, load_catalogue_of, load_shop
from shopfuse.exporters.text_encoding import TextEncoding, open_tokenizer, tokens_of
from shopfuse.exporters.text_heads import head_examples, label_counts, learn_heads
from shopfuse.exporters.vector_cache import VectorCache, encoder_folder
from shopfuse.exporters.verified_model import VerifiedModel, export_verified
from shopfuse.ranking.tensors import MODALITIES, Submodel, submodels
from shopfuse.ranking.text_heads import text_heads
from shopfuse.release.manifest import Manifest
from shopfuse.release.verify import sha256_file
from shopfuse.training.build_models import build_models
from shopfuse.training.catalogue import Catalogue
from shopfuse.training.head_files import load_heads
from shopfuse.training.model_files import load_models
from shopfuse.training.shop_models import ShopModels
from shopfuse.training.text_encoder import LoadedTextEncoder, load_text_encoder
from shopfuse.training.train_text_head import TrainedHead


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a release is made."""

    train: bool = True  # False: from the checkpoints of the last training
    seed: int = 0
    fusion: str = ""  # "": what the shop's settings say
    precisions: Precisions = field(default_factory=Precisions)
    target: str = "cpu"
    accepted: Mapping[str, str] = field(default_factory=dict)  # submodel whose parity gate may fail -> recorded reason


def build_workspace(workspace: Workspace, options: BuildOptions | None = None, progress: Progress = silent) -> Manifest:
    """Builds and signs the next release of the workspace. What is served stays served: see shopfuse.publishing.

    Raises a ShopfuseError naming the step, model or file that stopped it.
    """
    options = options or BuildOptions()
    with disk_errors_named("build"), workspace_lock(workspace.root), _scratch(workspace.root) as scratch:
        build = _Build(workspace, options, scratch, progress)
        text = build.encode_texts()
        with build.times.step("train models" if options.train else "read checkpoints"):
            models = build.models(text)
        shop, items = build.encode_catalogue(text, models)
        heads = build.text_heads(text)
        with build.times.step("golden queries"):
            build.gate_rankings(text, models)
        parts = ReleaseParts(
            shop,
            items,
            build.verified,
            text.encoder,
            models,
            build.metrics,
            {**made_by(workspace, options.seed), "fusion_asked": options.fusion or workspace.settings.fusion},
            options.target,
            Golden(text.tokens, build.real),
            heads,
        )
        return make_release(workspace, parts, build.times, progress)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """An empty folder for exported files, in the workspace's own file system; gone afterwards."""
    folder = root / ".build"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _EncodedTexts:
    encoder: LoadedTextEncoder
    encoding: TextEncoding
    tokenizer: Tokenizer
    catalogue: Catalogue
    vectors: NDArray[np.float16]  # [N, text_dim]
    queries: list[str]  # golden ones
    cache: VectorCache

    @property
    def tokens(self) -> list[list[int]]:
        return tokens_of(self.tokenizer, self.queries)


@dataclass(slots=True)
class _Build:
    """One run: what it has verified and measured so far."""

    workspace: Workspace
    options: BuildOptions
    scratch: Path
    progress: Progress
    times: StepTimes = field(init=False)
    declared: dict[str, Submodel] = field(default_factory=dict)
    verified: dict[str, VerifiedModel] = field(default_factory=dict)
    real: dict[str, RealInputs] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.times = StepTimes(self.progress)

    def encode_texts(self) -> _EncodedTexts:
        """Exports and verifies the text encoder, and encodes what the cache does not hold."""
        with self.times.step("read catalogue"):
            catalogue = load_catalogue_of(self.workspace)
            texts = catalogue.texts()
        with self.times.step("load text encoder"):
            encoder = load_text_encoder(self.workspace.settings.text_encoder)
            self.declared = submodels(encoder.text_dim)
            tokenizer = open_tokenizer(Path(encoder.tokenizer_json), encoder.max_tokens)
        self.real["text_encoder"] = real_inputs.text_inputs(tokens_of(tokenizer, texts[: real_inputs.ROWS]))
        with self.times.step("export text_encoder"):
            accepted = self.options.accepted.get("text_encoder")
            export = partial(export_text_encoder, self.workspace, encoder, accept=accepted)
            verified = self.verified["text_encoder"] = self._in_precision("text_encoder", export)
        encoding = TextEncoding(verified.open(), tokenizer)
        with self.times.step("encode texts"):
            hashes = sha256_file(verified.path), sha256_file(Path(encoder.tokenizer_json))
            cache = VectorCache(encoder_folder(self.workspace.root, *hashes, encoder.max_tokens), encoder.text_dim)
            started = time.perf_counter()
            vectors, computed = encode_texts(texts, encoding, cache, self.progress)
        seconds = time.perf_counter() - started
        self.metrics["texts"] = {"encoded": computed, "per_s": round(computed / seconds, 1) if computed else 0.0}
        queries = golden_queries(self.workspace.events(), catalogue)
        return _EncodedTexts(encoder, encoding, tokenizer, catalogue, vectors, queries, cache)

    def models(self, text: _EncodedTexts) -> ShopModels:
        """Trained now, or read from the last training's checkpoints."""
        if not self.options.train:
            return load_models(self.workspace.checkpoints_dir, text.catalogue.ids)
        return build_models(
            self.workspace,
            text.vectors.astype(np.float32),
            text.encoding.encode,
            seed=self.options.seed,
            fusion=self.options.fusion or self.workspace.settings.fusion,
            progress=self.progress,
        )

    def encode_catalogue(self, text: _EncodedTexts, models: ShopModels) -> tuple[Shop, EncodedItems]:
        """Exports and verifies the other models, in the order in which each one's outputs feed the next."""
        self.declared = submodels(text.encoder.text_dim, models.image_dim, models.image_size)
        with self.times.step("read events"):
            shop = load_shop(self.workspace, text.catalogue, models.scenes)
        inputs = self._item_inputs(text, models)
        self.export("query_tower", models.query_tower, {"text_embedding": text.vectors[: real_inputs.ROWS]})
        if models.picture_tower is not None:
            seen = inputs.image_embedding[inputs.presence[:, MODALITIES.index("image")] > 0]
            self.export("picture_tower", models.picture_tower, {"image_embedding": seen[: real_inputs.ROWS]})
        tower = self.export("item_tower", models.item_tower, real_inputs.item_tower_inputs(inputs))
        with self.times.step("encode items"):
            items = encode_items(tower.open(), inputs, self.progress)
            if models.image_encoder is not None:
                items = replace(items, image_vectors=inputs.image_embedding)
        user_inputs = real_inputs.user_tower_inputs(shop, items)
        self.export("user_tower", models.user_tower, user_inputs)
        self.export("fusion_ranker", models.fusion_ranker, real_inputs.ranker_inputs(shop, items, user_inputs))
        return shop, items

    def text_heads(self, text: _EncodedTexts) -> dict[str, TrainedHead]:
        """Trains (or reads), exports and verifies the heads that the shop has examples for."""
        heads = self._learn_heads(text) if self.options.train else self._known_heads()
        self.declared |= text_heads(text.encoder.text_dim, label_counts(heads))
        for name, head in heads.items():
            self.export(name, head.module, {"text_embedding": text.vectors[: real_inputs.ROWS]})
            self.metrics[name] = head.metrics
        return heads

    def _learn_heads(self, text: _EncodedTexts) -> dict[str, TrainedHead]:
        seed = self.options.seed
        with self.times.step("encode labelled texts"):
            read = head_examples(self.workspace, text.encoding, text.cache, seed, self.progress)
        with self.times.step("train text heads"):
            return learn_heads(read, self.workspace.checkpoints_dir, self._encoder_sha256, seed, self.progress)

    def _known_heads(self) -> dict[str, TrainedHead]:
        with self.times.step("read checkpoints"):
            return load_heads(self.workspace.checkpoints_dir, self._encoder_sha256)

    @property
    def _encoder_sha256(self) -> str:
        return sha256_file(self.verified["text_encoder"].path)

    def export(self, name: str, module: nn.Module, real: RealInputs) -> VerifiedModel:
        """Exports and verifies one model; from now on it is part of the release."""
        with self.times.step(f"export {name}"):
            self.real[name] = real
            accepted = self.options.accepted.get(name)
            export = partial(export_verified, self.declared[name], module, self.scratch, real, accept=accepted)
            self.verified[name] = self._in_precision(name, export)
        return self.verified[name]

    def _in_precision(self, name: str, export: Callable[..., VerifiedModel]) -> VerifiedModel:
        """In the precision that was asked for; in fp32, noted, where that cannot be had and the model was not named."""
        precisions = self.options.precisions
        try:
            return export(precision=precisions.of(name))
        except PrecisionError as error:
            if name in precisions.named:
                raise
            self.metrics.setdefault("kept_in_fp32", {})[name] = str(error)
            return export(precision=FULL)

    def gate_rankings(self, text: _EncodedTexts, models: ShopModels) -> None:
        """Adds to the reports of the models that rank how they rank; raises ParityError where they lose too much."""
        accepted = self.options.accepted
        self.verified["text_encoder"] = gate_texts(
            self.verified["text_encoder"],
            text.encoder.module,
            text.tokenizer,
            text.queries,
            text.catalogue.texts(),
            accepted.get("text_encoder"),
        )
        self.verified["fusion_ranker"] = gate_lists(
            self.verified["fusion_ranker"],
            models.fusion_ranker,
            self.real["fusion_ranker"],
            models.tasks,
            accepted.get("fusion_ranker"),
        )

    def _item_inputs(self, text: _EncodedTexts, models: ShopModels) -> ItemInputs:
        count = len(text.catalogue)
        images = np.zeros((count, models.image_dim), np.float16)
        present = {"text": np.ones(count, np.bool_), "image": np.zeros(count, np.bool_)}
        present["behaviour"] = models.behaviour_present
        if models.image_encoder is not None:
            pictures = self.workspace.pictures()
            encoder = self.export(
                "image_encoder", models.image_encoder, real_inputs.image_inputs(pictures, models.image_size)
            )
            with self.times.step("encode pictures"):
                images, present["image"] = encode_images(encoder.open(), pictures, text.catalogue.ids, self.progress)
        return ItemInputs(
            text_embedding=text.vectors,
            image_embedding=images,
            behaviour_embedding=models.behaviour_embeddings,
            attributes=text.catalogue.attributes,
            presence=np.stack([present[name] for name in MODALITIES], axis=1).astype(np.uint8),
        )
