"""Pictures as the image encoder takes them: small square RGB arrays, decoded from a workspace's PNG and JPEG bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from shopfuse.ranking.errors import ShopfuseError
from shopfuse.ranking.tensors import IMAGE_SIZE

_BACKGROUND = (255, 255, 255)


def decode_pixels(image: bytes) -> NDArray[np.uint8]:
    """[IMAGE_SIZE, IMAGE_SIZE, 3]; other shapes are scaled to fit and padded with white. ShopfuseError if damaged."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            picture = _flat(opened)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ShopfuseError(f"a stored picture cannot be decoded: {error}") from error
    if picture.size != (IMAGE_SIZE, IMAGE_SIZE):
        picture = ImageOps.pad(picture, (IMAGE_SIZE, IMAGE_SIZE), color=_BACKGROUND)
    return np.asarray(picture, dtype=np.uint8)


def decode_all(images: Iterable[bytes]) -> NDArray[np.uint8]:
    """[n, IMAGE_SIZE, IMAGE_SIZE, 3]."""
    pixels = [decode_pixels(image) for image in images]
    return np.stack(pixels) if pixels else np.zeros((0, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)


def _flat(picture: Image.Image) -> Image.Image:
    """RGB on a white ground: what a transparent picture looks like in a shop."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, (*_BACKGROUND, 255))
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return picture.convert("RGB")
