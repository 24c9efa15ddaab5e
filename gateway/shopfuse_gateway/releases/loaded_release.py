"""A release in memory: verified once, then read only. Everything that must change together is reached through it.

Loading the models into Triton is the task of whoever starts Triton; here they are only named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.ranking.item import CATEGORY_SEPARATOR
from shopfuse.ranking.labels import Labels, LabelsError, parse_labels
from shopfuse.ranking.repeat_purchases import CHOICES
from shopfuse.ranking.tensors import MODALITIES, TASKS, TOKEN, VECTOR, Submodel, Tensor
from shopfuse.ranking.text_heads import CLASSIFY_TEXT, HEADS
from shopfuse.recall.arrays import open_array
from shopfuse.recall.completion.index import CompletionIndex
from shopfuse.recall.facets import facet_key
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.item_table import ItemTable
from shopfuse.recall.matching.match_set import MatchTables
from shopfuse.recall.vector_channels import IMAGE_INDEX, TEXT_INDEX
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.release.ingredients import TOKENIZER
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ReleaseError
from shopfuse.release.verify import verify_release
from shopfuse.v1 import item_pb2
from shopfuse_gateway.releases.compatibility import IncompatibleRelease, check_compatible
from shopfuse_gateway.triton.served_model import ServedModel


@dataclass(frozen=True, slots=True)
class ServedModels:
    """The models that answer requests."""

    encode_query: ServedModel  # text -> embedding and query vector
    user_tower: ServedModel
    fusion_ranker: ServedModel
    rank_by_vector: ServedModel  # user tower and fusion ranker in one round trip
    classify_text: ServedModel | None  # texts -> probabilities of the heads' labels; None in a release without heads
    encode_image: ServedModel | None  # pixels -> embedding and image vector; None in a shop without images

    @classmethod
    def of(cls, manifest: Manifest) -> ServedModels:
        declared = manifest.declared()
        text, query, user, fusion = (
            declared[name] for name in ("text_encoder", "query_tower", "user_tower", "fusion_ranker")
        )
        return cls(
            _ensemble(manifest, "encode_query", text.inputs, text.outputs + query.outputs),
            _plain(manifest, "user_tower", user.inputs, user.outputs),
            _plain(manifest, "fusion_ranker", fusion.inputs, fusion.outputs),
            _ensemble(manifest, "rank_by_vector", _joined(user.inputs, fusion.inputs, user.outputs), fusion.outputs),
            _classify_text(manifest, declared) if CLASSIFY_TEXT in manifest.ensembles else None,
            _encode_image(manifest, declared) if "encode_image" in manifest.ensembles else None,
        )

    @property
    def all(self) -> tuple[ServedModel, ...]:
        always = (self.encode_query, self.user_tower, self.fusion_ranker, self.rank_by_vector)
        optional = (self.classify_text, self.encode_image)
        return (*always, *(model for model in optional if model is not None))


def _plain(manifest: Manifest, name: str, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> ServedModel:
    if name not in manifest.models:
        raise IncompatibleRelease(f"release {manifest.release_id}: the manifest names no model {name}")
    model = manifest.models[name]
    return ServedModel(model.model, str(model.version), inputs, outputs)


def _ensemble(manifest: Manifest, role: str, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> ServedModel:
    if role not in manifest.ensembles:
        raise IncompatibleRelease(f"release {manifest.release_id}: the manifest names no ensemble {role}")
    return ServedModel(manifest.ensembles[role], "", inputs, outputs)


def _encode_image(manifest: Manifest, declared: Mapping[str, Submodel]) -> ServedModel:
    encoder, tower = declared["image_encoder"], declared["image_tower"]
    return _ensemble(manifest, "encode_image", encoder.inputs, encoder.outputs + tower.outputs)


def _classify_text(manifest: Manifest, declared: Mapping[str, Submodel]) -> ServedModel:
    outputs = tuple(tensor for name in HEADS if name in declared for tensor in declared[name].outputs)
    return _ensemble(manifest, CLASSIFY_TEXT, declared["text_encoder"].inputs, outputs)


def _joined(first: tuple[Tensor, ...], second: tuple[Tensor, ...], inner: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The inputs of two models in a row: each once, without what the first hands to the second."""
    return tuple(dict.fromkeys(tensor for tensor in first + second if tensor not in inner))


@dataclass(frozen=True, slots=True)
class LoadedRelease:
    manifest: Manifest
    indexes: RecallIndexes
    matching: MatchTables
    models: ServedModels
    tokenizer: Tokenizer  # truncates to the manifest's max_tokens, does not pad
    item_vectors: NDArray[np.float16]  # [items, 128]
    modality_vectors: NDArray[np.float16]  # [items, 3, 64]
    modality_mask: NDArray[np.uint8]  # [items, 3]
    served_by: item_pb2.ServedBy
    labels: dict[str, Labels]  # of its text heads
    repeat_purchases: NDArray[np.int8]  # [items] of ranking/repeat_purchases.py
    task_weights: NDArray[np.float32]  # [T] of TASKS in an item's score, summing to 1
    completions: CompletionIndex

    @classmethod
    def open(
        cls, workspace: Path, release_id: str, public_key: Path, held: Sequence[LoadedRelease] = ()
    ) -> LoadedRelease:
        """Verifies and opens a release; what it has in common with `held` ones and is slow to make is shared.

        Raises SignatureError, IncompatibleRelease, or another ReleaseError where files are missing or damaged.
        """
        root = WorkspacePaths(workspace).release(release_id)
        manifest = verify_release(root, public_key)
        if manifest.release_id != release_id:
            raise IncompatibleRelease(f"{root}: the folder of release {release_id} holds {manifest.release_id}")
        check_compatible(manifest)
        layout = ReleaseLayout(root)
        indexes = RecallIndexes.open(layout)
        release = cls(
            manifest,
            indexes,
            MatchTables.open(layout, len(indexes.items)),
            ServedModels.of(manifest),
            _shared_tokenizer(manifest, held) or _tokenizer(layout.tokenizer, manifest.max_tokens),
            open_array(layout.item_vectors, np.float16, 2),
            open_array(layout.modality_vectors, np.float16, 3),
            open_array(layout.modality_mask, np.uint8, 2),
            _served_by(manifest),
            _labels(layout) if manifest.labels else {},
            _repeat_purchases(manifest, indexes.items),
            _task_weights(manifest),
            CompletionIndex.open(layout.completion),
        )
        release._check_shapes()
        return release

    def _check_shapes(self) -> None:
        items = self.manifest.items
        expected = {
            "ids": (len(self.indexes.items), items),
            "item_vectors": (self.item_vectors.shape, (items, VECTOR)),
            "modality_vectors": (self.modality_vectors.shape, (items, len(MODALITIES), TOKEN)),
            "modality_mask": (self.modality_mask.shape, (items, len(MODALITIES))),
            "text vectors": (self.indexes[TEXT_INDEX].vectors.shape, (items, self.manifest.text_dim)),
        }
        for name, count in self.manifest.labels.items():
            expected[f"labels of {name}"] = (len(self.labels.get(name, ())), count)
        if (images := self.indexes[IMAGE_INDEX]) is not None:
            expected["image vectors"] = (images.vectors.shape, (items, self.manifest.image_dim))
        language = self.indexes[LEXICAL_INDEX].analyser.language
        if language != self.manifest.language:
            raise IncompatibleRelease(
                f"release {self.manifest.release_id}: a lexical index in {language!r}, the manifest says "
                f"{self.manifest.language!r}"
            )
        for name, (actual, wanted) in expected.items():
            if actual != wanted:
                raise IncompatibleRelease(
                    f"release {self.manifest.release_id}: {name} of shape {actual}, expected {wanted}"
                )


def _shared_tokenizer(manifest: Manifest, held: Sequence[LoadedRelease]) -> Tokenizer | None:
    """Of a release with the same words: to read 30,000 of them takes 40 ms in which no other thread of Python runs."""
    wanted = manifest.files.get(TOKENIZER), manifest.max_tokens
    same = (one.tokenizer for one in held if (one.manifest.files.get(TOKENIZER), one.manifest.max_tokens) == wanted)
    return next(same, None)


def _tokenizer(path: Path, max_tokens: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.enable_truncation(max_tokens)
    except Exception as error:  # the library raises bare Exception
        raise ReleaseError(f"{path}: not a tokenizer of {max_tokens} tokens ({error})") from error
    tokenizer.no_padding()
    return tokenizer


def _labels(layout: ReleaseLayout) -> dict[str, Labels]:
    try:
        return parse_labels(layout.labels.read_text(encoding="utf-8"), str(layout.labels))
    except (OSError, LabelsError) as error:
        raise ReleaseError(str(error)) from error


def _task_weights(manifest: Manifest) -> NDArray[np.float32]:
    weights = np.array([manifest.tasks.get(task, 0.0) for task in TASKS], np.float32)
    shares: NDArray[np.float32] = weights / max(float(weights.sum()), 1e-9)
    return shares


def _repeat_purchases(manifest: Manifest, items: ItemTable) -> NDArray[np.int8]:
    """The choice for each item [items]: of the longest path that it lies below, else of the shop."""
    choices = np.full(len(items), CHOICES.index(manifest.repeat_purchases), np.int8)
    by_category = manifest.repeat_purchases_by_category
    for path in sorted(by_category, key=lambda path: path.count(CATEGORY_SEPARATOR)):
        choices[items.facets.rows(facet_key("category", path))] = CHOICES.index(by_category[path])
    return choices


def _served_by(manifest: Manifest) -> item_pb2.ServedBy:
    versions = {model.model: model.version for model in manifest.models.values()}
    return item_pb2.ServedBy(release_id=manifest.release_id, model_versions=versions)
