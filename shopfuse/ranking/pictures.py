"""Pictures as the image encoder takes them: small square RGB arrays, decoded from JPEG, PNG or WebP bytes.

The same function prepares a catalogue's pictures for training and a shopper's picture for a search. It bounds what a
picture may hold before anything of it is decoded: a file of a few kilobytes can stand for gigabytes of pixels.
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


class PictureError(ShopfuseError):
    """Bytes that are no picture that we read; the message says why, and names no field."""


def decode_pixels(image: bytes, size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """[size, size, 3]: turned as its EXIF orientation says, on white, scaled to fit and padded with white.

    Raises PictureError for what is damaged, truncated, too large, or neither JPEG nor PNG nor WebP. Of an animation
    the first picture is taken.
    """
    with _opened(image) as picture:
        return _square(picture, size)


def decode_query(image: bytes, size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """As decode_pixels, but an animation is refused: which of its pictures is meant, only the shopper knows."""
    with _opened(image) as picture:
        if (frames := getattr(picture, "n_frames", 1)) > 1:
            raise PictureError(f"an animation of {frames} pictures, expected one")
        return _square(picture, size)


def decode_all(images: Iterable[bytes], size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """[n, size, size, 3]. Raises PictureError."""
    pixels = [decode_pixels(image, size) for image in images]
    return np.stack(pixels) if pixels else np.zeros((0, size, size, 3), np.uint8)


@contextmanager
def _opened(image: bytes) -> Iterator[Image.Image]:
    """The picture, of which no pixel is decoded yet. Errors in the block become PictureErrors too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is stricter
            with Image.open(io.BytesIO(image), formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise PictureError(
                        f"{picture.width} x {picture.height} pixels, expected at most {MAX_PIXELS:,} in all"
                    )
                yield picture
    except Image.DecompressionBombError as error:
        raise PictureError(f"more than {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        raise PictureError("not a JPEG, PNG or WebP picture") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:  # what Pillow raises for damaged data
        raise PictureError(f"cannot be decoded: {error}") from error


def _square(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    picture.draft("RGB", (_FINER * size, _FINER * size))  # JPEG only: decodes fewer pixels
    picture.load()
    upright = ImageOps.exif_transpose(_shrunk(picture, size))
    flat = _flat(upright)
    if flat.size != (size, size):
        flat = ImageOps.pad(flat, (size, size), color=_BACKGROUND)
    return np.asarray(flat, dtype=np.uint8)


def _shrunk(picture: Image.Image, size: int) -> Image.Image:
    """By whole factors, which is cheap: what follows then touches few pixels."""
    factor = min(picture.size) // (_FINER * size)
    return picture.reduce(factor) if factor > 1 and picture.mode in ("RGB", "RGBA", "L") else picture


def _flat(picture: Image.Image) -> Image.Image:
    """RGB on a white ground: what a transparent picture looks like in a shop."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, (*_BACKGROUND, 255))
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return picture.convert("RGB")
