"""The models that read what items, queries and images are, each exported on what the one before it gives.

At their end stands the encoded catalogue. The shop's own rows, which they are verified with, are the first few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.ranking.images import decode_all
from shopfuse.ranking.tensors import MODALITIES, Submodel, submodels
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse_exporters.encoding.catalogue import CatalogueInputs, EncodedItems, encode_images, encode_items
from shopfuse_exporters.models.exporter import ExportedModel, ModelExporter
from shopfuse_exporters.models.text_encoder import EncodedTexts
from shopfuse_exporters.verify.cases import REAL_ROWS

FIRST = slice(0, REAL_ROWS)


@dataclass(frozen=True, slots=True)
class ContentModels:
    exported: tuple[ExportedModel, ...]
    items: EncodedItems


@dataclass(frozen=True, slots=True)
class _Images:
    """Of the catalogue's items; without an encoder all are absent."""

    exported: tuple[ExportedModel, ...]  # the encoder, or nothing
    vectors: NDArray[np.float16]  # [N, image_dim]
    present: NDArray[np.bool_]  # [N]


def export_content_models(
    exporter: ModelExporter, models: ShopModels, texts: EncodedTexts, images: pl.LazyFrame, progress: Progress
) -> ContentModels:
    """The encoder of images and the towers of queries, images and items; the catalogue through the last.

    Raises ExportError or ParityError, and BuildError naming the item whose image cannot be decoded.
    """
    declared = submodels(texts.loaded.text_dim, models.image_dim, models.image_size)
    encoded = _encode_images(exporter, declared, models, texts.catalogue.ids, images, progress)
    first_texts = {"text_embedding": texts.vectors[FIRST]}
    exported = [*encoded.exported, exporter.export(declared["query_tower"], models.query_tower, first_texts)]
    if models.image_tower is not None:
        first_images = {"image_embedding": encoded.vectors[encoded.present][FIRST]}
        exported.append(exporter.export(declared["image_tower"], models.image_tower, first_images))
    inputs = _catalogue_inputs(models, texts, encoded)
    exported.append(exporter.export(declared["item_tower"], models.item_tower, inputs.batch(FIRST)))
    with exporter.times.step("encode items"):
        items = encode_items(exported[-1].verified.open(), inputs, progress)
    return ContentModels(tuple(exported), replace(items, image_vectors=encoded.vectors) if encoded.exported else items)


def _encode_images(
    exporter: ModelExporter,
    declared: Mapping[str, Submodel],
    models: ShopModels,
    item_ids: list[str],
    images: pl.LazyFrame,
    progress: Progress,
) -> _Images:
    if models.image_encoder is None:
        shape = len(item_ids), models.image_dim
        return _Images((), np.zeros(shape, np.float16), np.zeros(len(item_ids), np.bool_))
    first = images.head(REAL_ROWS).collect()["image"].to_list()
    real = {"pixels": decode_all(first, models.image_size)} if first else {}
    encoder = exporter.export(declared["image_encoder"], models.image_encoder, real)
    with exporter.times.step("encode images"):
        vectors, present = encode_images(encoder.verified.open(), images, item_ids, progress)
    return _Images((encoder,), vectors, present)


def _catalogue_inputs(models: ShopModels, texts: EncodedTexts, images: _Images) -> CatalogueInputs:
    count = len(texts.catalogue)
    covered = np.full(count, texts.has_meaning)
    present = {"text": covered, "image": images.present, "behaviour": models.behaviour_present}
    return CatalogueInputs(
        text_embedding=texts.meanings,
        image_embedding=images.vectors,
        behaviour_embedding=models.behaviour_embeddings,
        attributes=texts.catalogue.attributes,
        presence=np.stack([present[name] for name in MODALITIES], axis=1).astype(np.uint8),
    )
