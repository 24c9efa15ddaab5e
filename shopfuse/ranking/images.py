"""Images as the image encoder takes them: small square RGB arrays, decoded from JPEG, PNG or WebP bytes.

The same function prepares a catalogue's images for training and a shopper's image for a search. It bounds what an
image may hold before anything of it is decoded: a file of a few kilobytes can stand for gigabytes of pixels.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.tensors import IMAGE_SIZE

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 25_000_000  # about what a phone's camera gives; 100 MB while it is decoded
_BACKGROUND = (255, 255, 255)
# A JPEG may be decoded at an eighth, a quarter or a half of its size: at least this many times what is needed.
_FINER = 2


class ImageError(ShopfuseError):
    """Bytes that are no image that we read; the message says why, and names no field."""


def decode_pixels(image: bytes, size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """[size, size, 3]: turned as its EXIF orientation says, on white, scaled to fit and padded with white.

    Raises ImageError for what is damaged, truncated, too large, or neither JPEG nor PNG nor WebP. Of an animation
    the first image is taken.
    """
    with open_image(image) as opened:
        return _square(opened, size)


def decode_query(image: bytes, size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """As decode_pixels, but an animation is refused: which of its frames is meant, only the shopper knows."""
    with open_image(image) as opened:
        if (frames := getattr(opened, "n_frames", 1)) > 1:
            raise ImageError(f"an animation of {frames} frames, expected a still image")
        return _square(opened, size)


def decode_all(images: Iterable[bytes], size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """[n, size, size, 3]. Raises ImageError."""
    pixels = [decode_pixels(image, size) for image in images]
    return np.stack(pixels) if pixels else np.zeros((0, size, size, 3), np.uint8)


@contextmanager
def open_image(image: bytes) -> Iterator[Image.Image]:
    """The image, of which no pixel is decoded yet. Errors in the block become ImageErrors too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is stricter
            with Image.open(io.BytesIO(image), formats=FORMATS) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise ImageError(f"{opened.width} x {opened.height} pixels, expected at most {MAX_PIXELS:,} in all")
                yield opened
    except Image.DecompressionBombError as error:
        raise ImageError(f"more than {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        raise ImageError("not a JPEG, PNG or WebP image") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:  # what Pillow raises for damaged data
        raise ImageError(f"cannot be decoded: {error}") from error


def _square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    image.draft("RGB", (_FINER * size, _FINER * size))  # JPEG only: decodes fewer pixels
    image.load()
    upright = ImageOps.exif_transpose(_shrunk(image, size))
    flat = _flat(upright)
    if flat.size != (size, size):
        flat = ImageOps.pad(flat, (size, size), color=_BACKGROUND)
    return np.asarray(flat, dtype=np.uint8)


def _shrunk(image: Image.Image, size: int) -> Image.Image:
    """By whole factors, which is cheap: what follows then touches few pixels."""
    factor = min(image.size) // (_FINER * size)
    return image.reduce(factor) if factor > 1 and image.mode in ("RGB", "RGBA", "L") else image


def _flat(image: Image.Image) -> Image.Image:
    """RGB on a white ground: what a transparent image looks like in a shop."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, (*_BACKGROUND, 255))
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return image.convert("RGB")
