"""Images through an image encoder, in this process: for training and evaluation.

A release encodes them through the exported and verified encoder instead.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from shopfuse.ranking.images import decode_all
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.distributed.devices import device_of
from shopfuse.training.models.image_encoder import ImageEncoder
from shopfuse.training.models.vision_tower import VisionTower

_BLOCK = 256
_FILE_BLOCK = 1024
AnyEncoder = ImageEncoder | VisionTower


@torch.no_grad()
def encode_pixels(encoder: AnyEncoder, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, image_dim] from [n, S, S, 3]."""
    vectors, device = np.zeros((len(pixels), encoder.image_dim), np.float32), device_of(encoder)
    for start in range(0, len(pixels), _BLOCK):
        block = slice(start, start + _BLOCK)
        vectors[block] = encoder(torch.from_numpy(pixels[block]).to(device)).cpu().numpy()
    return vectors


def sample_images(
    images: pl.LazyFrame, catalogue: Catalogue, most: int, size: int
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """(the items' rows [n], pixels [n, size, size, 3]) of at most `most` images, evenly spread over `images`."""
    count = int(images.select(pl.len()).collect().item())
    frame = images.select("item_id", "image").gather_every(max(1, -(-count // most))).collect()
    rows = catalogue.rows(frame["item_id"])
    pixels = decode_all(frame["image"].filter(rows >= 0).to_list(), size)
    return rows[rows >= 0], pixels


def image_vectors(encoder: nn.Module | None, images: pl.LazyFrame, catalogue: Catalogue) -> NDArray[np.float32] | None:
    """[N, image_dim], the middle of an item's images, zeros where it has none; None without an encoder.

    Holds one block of pixels at a time.
    """
    if encoder is None:
        return None
    if not isinstance(encoder, AnyEncoder):
        raise TypeError(f"an image encoder of class {type(encoder).__name__}")
    vectors = np.zeros((len(catalogue), encoder.image_dim), np.float32)
    for frame in images.select("item_id", "image").collect_batches(chunk_size=_FILE_BLOCK, maintain_order=True):
        rows = catalogue.rows(frame["item_id"])
        pixels = decode_all(frame["image"].filter(rows >= 0).to_list(), encoder.image_size)
        np.add.at(vectors, rows[rows >= 0], encode_pixels(encoder, pixels))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    middles: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-6)
    return middles
