"""Images named by a catalogue: found beside it, checked, and handed on as PNG or JPEG bytes.

Images at a web address are not fetched: an import must not depend on other people's servers.
"""

import io
import warnings
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

MAX_IMAGE_BYTES: Final = 8 * 2**20
MAX_IMAGE_PIXELS: Final = 25_000_000
_STORED: Final = ("PNG", "JPEG")
_READABLE: Final = (*_STORED, "WEBP")


class ImageProblemError(Exception):
    """Why an image is left out; the item goes in without it. Caught where rows are read."""


def is_web_address(uri: str) -> bool:
    """True where the image lies on a server, not beside the catalogue."""
    return uri.casefold().startswith(("http://", "https://"))


def read_image(folder: Path, name: str) -> bytes:
    """The bytes of an image inside `folder`, decoded once to prove that they are whole; ImageProblemError if not."""
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ImageProblemError("lies outside the folder of the catalogue file")
        if not path.is_file():
            raise ImageProblemError("no such file")
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise ImageProblemError(f"larger than {MAX_IMAGE_BYTES // 2**20} MiB")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ImageProblemError(f"cannot be read: {error}") from error
    return _checked(data)


def _checked(data: bytes) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is stricter
            with Image.open(io.BytesIO(data), formats=_READABLE) as image:
                if image.width * image.height > MAX_IMAGE_PIXELS:
                    raise ImageProblemError(f"{image.width} x {image.height} is more than {MAX_IMAGE_PIXELS:,} pixels")
                image.load()
                return data if image.format in _STORED else _as_png(image)
    except Image.DecompressionBombError as error:
        raise ImageProblemError(f"more than {MAX_IMAGE_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        raise ImageProblemError("not a PNG, JPEG or WebP image") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged data
        raise ImageProblemError(f"damaged: {error}") from error


def _as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()
