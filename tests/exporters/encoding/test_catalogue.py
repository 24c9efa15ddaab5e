"""Images and items go through their models side by side, a few batches ahead, and land in their rows."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from shopfuse.datasets.schema import IMAGE_SCHEMA
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.images import decode_pixels
from shopfuse.ranking.tensors import D_IMAGE, submodels
from shopfuse_exporters.encoding.catalogue import AHEAD, encode_images, side_by_side
from shopfuse_exporters.errors import BuildError
from tests.exporters.small_shop import MeanColour, image
from tests.exporters.tiny_models import exported

COUNT = 300


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    declaration = submodels(8)["image_encoder"]
    return OnnxModel(declaration, exported(declaration, MeanColour(), tmp_path_factory.mktemp("images")))


def _images(ids: list[str]) -> pl.LazyFrame:
    shades = [int(item_id[1:]) % 28 for item_id in ids]
    return pl.DataFrame({"item_id": ids, "image": [image(shade) for shade in shades]}, IMAGE_SCHEMA).lazy()


def test_each_image_gets_the_embedding_it_gets_alone(model: OnnxModel) -> None:
    ids = [f"i{number:03d}" for number in range(COUNT)]
    counts: list[int] = []

    embeddings, present = encode_images(model, _images(ids[::3]), ids, lambda stage, done, total: counts.append(done))
    alone: NDArray[np.generic] = model.run({"pixels": decode_pixels(image(9))[None]})["image_embedding"]
    assert embeddings.shape == (COUNT, D_IMAGE)
    assert present.tolist() == [number % 3 == 0 for number in range(COUNT)]
    assert not embeddings[~present].any()
    np.testing.assert_allclose(embeddings[9], alone[0], atol=1e-3)
    assert counts == sorted(counts)
    assert counts[-1] == COUNT // 3


def test_images_of_unknown_items_are_left_out(model: OnnxModel) -> None:
    embeddings, present = encode_images(model, _images(["i001", "i002", "i003"]), ["i002"])

    assert present.tolist() == [True]
    assert embeddings.any()


def test_an_image_that_cannot_be_decoded_names_its_item(model: OnnxModel) -> None:
    images = pl.DataFrame({"item_id": ["i001", "i002"], "image": [image(1), b"no image"]}, IMAGE_SCHEMA).lazy()

    with pytest.raises(BuildError, match="item 'i002': "):
        encode_images(model, images, ["i001", "i002"])


def test_only_a_few_batches_are_read_ahead() -> None:
    read = 0

    def jobs() -> Iterator[int]:
        nonlocal read
        for number in range(1000):
            read += 1
            yield number

    results = side_by_side(lambda number: number, jobs())
    assert next(results) == 0
    assert read <= AHEAD * len(os.sched_getaffinity(0)) + 1
    assert list(results) == list(range(1, 1000))
