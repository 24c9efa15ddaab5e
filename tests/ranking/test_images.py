"""Images become small squares; what is no whole image, or stands for far more than it weighs, is refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from shopfuse.ranking.images import MAX_PIXELS, ImageError, decode_all, decode_pixels, decode_query

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def two_halves() -> Image.Image:
    """40 x 20: red on the left, blue on the right."""
    image = Image.new("RGB", (40, 20), RED)
    image.paste(BLUE, (20, 0, 40, 20))
    return image


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 60,000 x 60,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("side", [3, 64, 700])
def test_images_of_any_size_and_format_become_squares(form: str, side: int) -> None:
    pixels = decode_pixels(encoded(Image.new("RGB", (side, side), RED), form))

    assert pixels.shape == (64, 64, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - RED).max() < 8


def test_other_shapes_are_padded_with_white() -> None:
    pixels = decode_pixels(encoded(two_halves()), 32)

    assert tuple(pixels[16, 4]) == RED and tuple(pixels[16, 28]) == BLUE
    assert tuple(pixels[0, 0]) == tuple(pixels[31, 31]) == WHITE


def test_the_exif_orientation_is_honoured() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the camera was turned: red is on top
    pixels = decode_query(encoded(two_halves(), "JPEG", exif=exif, quality=95), 64)

    assert pixels[6, 32, 0] > 240 and pixels[58, 32, 2] > 240
    assert (pixels[32, 2] > 240).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_shows_white(mode: str) -> None:
    image = Image.new("RGBA", (100, 50), (*RED, 0)).convert(mode)
    options = {"transparency": 0} if mode == "P" else {}

    assert (decode_pixels(encoded(image, "PNG", **options)) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "I;16"])
def test_other_colour_modes_are_read(mode: str) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"

    assert decode_query(encoded(Image.new(mode, (30, 30)), form), 16).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (b"", "not a JPEG, PNG or WebP"),
        (b"\x89PNG not really", "not a JPEG, PNG or WebP"),
        (encoded(two_halves(), "GIF"), "not a JPEG, PNG or WebP"),
        (encoded(two_halves())[:60], "cannot be decoded"),
        (encoded(Image.effect_noise((300, 300), 80), "JPEG")[:4000], "cannot be decoded"),
        (bomb(), "pixels"),
        (encoded(Image.new("1", (6000, 5000))), f"6000 x 5000 pixels, expected at most {MAX_PIXELS:,}"),
    ],
)
def test_what_is_no_whole_image_is_refused(image: bytes, problem: str) -> None:
    for decode in (decode_pixels, decode_query):
        with pytest.raises(ImageError, match=problem):
            decode(image)


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_an_animation_is_no_query(form: str) -> None:
    moving = encoded(two_halves(), form, save_all=True, append_images=[Image.new("RGB", (40, 20), RED)])

    with pytest.raises(ImageError, match="an animation of 2 frames"):
        decode_query(moving)
    assert decode_pixels(moving).shape == (64, 64, 3)


def test_several_become_one_array() -> None:
    images = [encoded(Image.new("RGB", (9, 9), colour)) for colour in (RED, BLUE)]

    assert decode_all(images, 8)[:, 0, 0].tolist() == [list(RED), list(BLUE)]
    assert decode_all([], 8).shape == (0, 8, 8, 3)
