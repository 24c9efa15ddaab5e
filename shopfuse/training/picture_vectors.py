"""The catalogue's pictures through an image encoder, in this process: for training and evaluation.

A release encodes them through the exported and verified encoder instead.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from shopfuse.ranking.pictures import decode_all
from shopfuse.ranking.tensors import D_IMAGE
from shopfuse.training.catalogue import Catalogue

_BLOCK = 256
_FILE_BLOCK = 1024


@torch.no_grad()
def encode_pixels(encoder: nn.Module, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 128] from [n, 64, 64, 3]."""
    vectors = np.zeros((len(pixels), D_IMAGE), np.float32)
    for start in range(0, len(pixels), _BLOCK):
        block = slice(start, start + _BLOCK)
        vectors[block] = encoder(torch.from_numpy(pixels[block])).numpy()
    return vectors


def sample_pictures(
    images: pl.LazyFrame, catalogue: Catalogue, most: int
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """(rows [n], pixels [n, 64, 64, 3]) of at most `most` items with a picture, evenly spread over the catalogue."""
    count = int(images.select(pl.len()).collect().item())
    frame = images.select("item_id", "image").gather_every(max(1, -(-count // most))).collect()
    rows = catalogue.rows(frame["item_id"])
    pixels = decode_all(frame["image"].filter(rows >= 0).to_list())
    return rows[rows >= 0], pixels


def picture_vectors(
    encoder: nn.Module | None, images: pl.LazyFrame, catalogue: Catalogue
) -> NDArray[np.float32] | None:
    """[N, 128], zeros where an item has no picture; None without an encoder. Holds one block of pixels at a time."""
    if encoder is None:
        return None
    vectors = np.zeros((len(catalogue), D_IMAGE), np.float32)
    for frame in images.select("item_id", "image").collect_batches(chunk_size=_FILE_BLOCK, maintain_order=True):
        rows = catalogue.rows(frame["item_id"])
        pixels = decode_all(frame["image"].filter(rows >= 0).to_list())
        vectors[rows[rows >= 0]] = encode_pixels(encoder, pixels)
    return vectors
