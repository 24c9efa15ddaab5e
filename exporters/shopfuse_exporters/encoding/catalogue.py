"""The whole catalogue through the verified encoders and the item tower, in pieces: what the indexes are built from.

Row n is the n-th item of items.parquet. Memory grows with the vectors, never with images or token lists.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.images import decode_pixels
from shopfuse.ranking.tensors import MODALITIES, TOKEN, VECTOR, Arrays
from shopfuse_exporters.errors import BuildError

AHEAD = 2  # batches for each core
ROWS_AT_ONCE = 8192
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class EncodedItems:
    """Row-aligned arrays of the catalogue, [N, ...]."""

    text_vectors: NDArray[np.float16]
    item_vectors: NDArray[np.float16]
    modality_vectors: NDArray[np.float16]  # [N, 3, 64]
    modality_mask: NDArray[np.uint8]  # [N, 3]
    image_vectors: NDArray[np.float16] | None = None  # zeros where an item has no image; None without an encoder


@dataclass(frozen=True, slots=True)
class CatalogueInputs:
    """What the item tower reads, row-aligned; its names are those of the tower's tensors."""

    text_embedding: NDArray[np.float16]
    image_embedding: NDArray[np.float16]
    behaviour_embedding: NDArray[np.float32]
    attributes: NDArray[np.int64]
    presence: NDArray[np.uint8]  # [N, 3]: which modalities are there

    def batch(self, rows: slice) -> Arrays:
        return {
            "text_embedding": self.text_embedding[rows].astype(np.float32),
            "image_embedding": self.image_embedding[rows].astype(np.float32),
            "behaviour_embedding": self.behaviour_embedding[rows].astype(np.float32),
            "attributes": self.attributes[rows],
            "presence": self.presence[rows].astype(np.float32),
        }


def encode_images(
    model: OnnxModel, images: pl.LazyFrame, item_ids: list[str], progress: Progress = silent
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """(image embeddings [N, image_dim], which items have one [N]); images of unknown items are left out.

    An item with several images gets the middle of their embeddings, as training.models.image_vectors does.

    Raises BuildError naming the item whose image cannot be decoded.
    """
    size, dims = (int(tensor.dims[0]) for tensor in (model.declaration.inputs[0], model.declaration.outputs[0]))
    embeddings = np.zeros((len(item_ids), dims), np.float16)
    present = np.zeros(len(item_ids), np.bool_)
    rows = {item_id: row for row, item_id in enumerate(item_ids)}
    batches = (
        [(item_id, image) for item_id, image in batch if item_id in rows]
        for batch in _image_batches(images, model.declaration.max_batch)
    )

    def encode(batch: list[tuple[str, bytes]]) -> tuple[list[int], NDArray[np.generic]]:
        pixels = np.stack([_pixels(item_id, image, size) for item_id, image in batch])
        return [rows[item_id] for item_id, _ in batch], model.run({"pixels": pixels})["image_embedding"]

    for places, answer in side_by_side(encode, filter(None, batches)):
        np.add.at(embeddings, places, answer.astype(np.float16))
        present[places] = True
        progress("encode images", int(present.sum()), 0)
    return _unit_rows(embeddings), present


def _unit_rows(vectors: NDArray[np.float16]) -> NDArray[np.float16]:
    """`vectors` [N, D] with rows of length 1, changed in place a block at a time; zeros stay."""
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        block = vectors[start : start + ROWS_AT_ONCE].astype(np.float32)
        vectors[start : start + ROWS_AT_ONCE] = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-6)
    return vectors


def side_by_side(work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """The results in order; a few jobs are read ahead, so that every core has one and memory stays flat."""
    cores = len(os.sched_getaffinity(0))
    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(cores) as workers:
        for job in jobs:
            running.append(workers.submit(work, job))
            if len(running) > AHEAD * cores:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _image_batches(images: pl.LazyFrame, size: int) -> Iterator[list[tuple[str, bytes]]]:
    for frame in images.select("item_id", "image").collect_batches(chunk_size=1024, maintain_order=True):
        for piece in frame.iter_slices(size):
            yield list(piece.iter_rows())


def _pixels(item_id: str, image: bytes, size: int) -> NDArray[np.uint8]:
    try:
        return decode_pixels(image, size)
    except ShopfuseError as error:
        raise BuildError(f"item {item_id!r}: {error}") from error


def encode_items(model: OnnxModel, inputs: CatalogueInputs, progress: Progress = silent) -> EncodedItems:
    """The catalogue through the item tower."""
    count, step = len(inputs.presence), model.declaration.max_batch
    item_vectors = np.zeros((count, VECTOR), np.float16)
    modality_vectors = np.zeros((count, len(MODALITIES), TOKEN), np.float16)

    def encode(rows: slice) -> tuple[slice, Arrays]:
        return rows, model.run(inputs.batch(rows))

    for rows, answer in side_by_side(encode, (slice(start, start + step) for start in range(0, count, step))):
        item_vectors[rows] = answer["item_vector"]
        modality_vectors[rows] = answer["item_modality_vectors"]
        progress("encode items", min(rows.stop, count), count)
    return EncodedItems(inputs.text_embedding, item_vectors, modality_vectors, inputs.presence)
