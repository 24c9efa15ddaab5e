"""Product images: 64 x 64 pixels drawn from an item's silhouette, style, colour and pattern, many at a time.

Place, size, light, background and grain vary, so that a model has to learn to see. Chunks keep the memory bounded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image
from polars.io.plugins import register_io_source

from shopfuse.datasets.demo_shop.catalogue.rows import item_ids
from shopfuse.datasets.demo_shop.world.appearance import COLOUR_RGB, PATTERN_NAMES, STYLE_POINTS, FloatArray
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.tastes import Rows
from shopfuse.datasets.demo_shop.world.world import DemoShop
from shopfuse.datasets.schema import IMAGE_SCHEMA

SIZE = 64
_CHUNK = 256
_GRAIN = 16  # the background's grain has this many cells a side
_EXPONENTS = np.array([1.2, 2.0, 6.0], np.float32)  # of a blob's outline: faceted, rounded, boxy

# Outlines of products: each a handful of blobs, by centre x, centre y, radius x and radius y in a square of -1 .. +1; y
# points down. How round or angular a blob is comes from the item's style.
_BLOBS: dict[str, list[tuple[float, float, float, float]]] = {
    "bag": [(0, 0.15, 0.62, 0.6), (0, -0.55, 0.3, 0.25)],
    "banner": [(0, 0, 0.5, 0.85)],
    "bed": [(0, 0.25, 0.85, 0.3), (-0.75, -0.1, 0.12, 0.6), (0.75, 0.1, 0.1, 0.42)],
    "bicycle": [(-0.5, 0.35, 0.36, 0.38), (0.5, 0.35, 0.36, 0.38), (0, -0.05, 0.5, 0.12), (0.3, -0.4, 0.22, 0.09)],
    "blade": [(0, -0.3, 0.26, 0.62), (0, 0.55, 0.17, 0.36)],
    "boot": [(-0.15, -0.25, 0.32, 0.62), (0.15, 0.52, 0.62, 0.26)],
    "bottle": [(0, 0.25, 0.32, 0.62), (0, -0.62, 0.15, 0.25)],
    "box": [(0, 0, 0.68, 0.52)],
    "cushion": [(0, 0, 0.74, 0.66)],
    "dome": [(0, -0.1, 0.6, 0.52), (0.1, 0.32, 0.8, 0.16)],
    "dress": [(0, -0.42, 0.28, 0.42), (0, 0.35, 0.6, 0.56)],
    "dumbbell": [(-0.6, 0, 0.25, 0.46), (0.6, 0, 0.25, 0.46), (0, 0, 0.62, 0.13)],
    "headphones": [(-0.55, 0.25, 0.24, 0.42), (0.55, 0.25, 0.24, 0.42), (0, -0.45, 0.66, 0.17)],
    "lamp": [(0, -0.42, 0.56, 0.36), (0, 0.25, 0.1, 0.5), (0, 0.75, 0.4, 0.12)],
    "laptop": [(0, -0.2, 0.62, 0.42), (0, 0.42, 0.84, 0.14)],
    "monitor": [(0, -0.18, 0.84, 0.5), (0, 0.5, 0.1, 0.22), (0, 0.74, 0.4, 0.09)],
    "pair": [(-0.42, 0.1, 0.28, 0.36), (0.42, 0.1, 0.28, 0.36), (-0.42, -0.42, 0.12, 0.24), (0.42, -0.42, 0.12, 0.24)],
    "pan": [(-0.22, 0.05, 0.56, 0.44), (0.62, 0.05, 0.38, 0.1)],
    "phone": [(0, 0, 0.4, 0.8)],
    "rack": [(0, -0.68, 0.62, 0.14), (0, -0.05, 0.62, 0.14), (0, 0.58, 0.62, 0.14), (-0.55, 0, 0.1, 0.85)],
    "seat": [(0, 0.3, 0.82, 0.32), (0, -0.25, 0.66, 0.42), (-0.76, 0.15, 0.15, 0.4), (0.76, 0.15, 0.15, 0.4)],
    "shoe": [(0.05, 0.3, 0.84, 0.26), (-0.45, 0, 0.36, 0.36)],
    "slab": [(0, 0, 0.86, 0.34)],
    "table": [(0, -0.25, 0.86, 0.17), (-0.62, 0.3, 0.11, 0.52), (0.62, 0.3, 0.11, 0.52)],
    "tent": [(0, 0.3, 0.86, 0.42), (0, -0.2, 0.48, 0.46)],
    "top": [(0, 0.15, 0.44, 0.64), (-0.58, -0.2, 0.26, 0.32), (0.58, -0.2, 0.26, 0.32)],
    "trousers": [(0, -0.5, 0.42, 0.3), (-0.24, 0.22, 0.21, 0.62), (0.24, 0.22, 0.21, 0.62)],
    "vessel": [(0, 0.12, 0.46, 0.58), (0.5, 0.1, 0.18, 0.28), (0, -0.5, 0.3, 0.16)],
    "watch": [(0, 0, 0.4, 0.42), (0, -0.6, 0.2, 0.34), (0, 0.6, 0.2, 0.34)],
}
_MAX_BLOBS = 4
_NO_BLOB = (9.0, 9.0, 0.1, 0.1)  # far outside the image


def draw_images(shop: DemoShop, first: int, last: int) -> NDArray[np.uint8]:
    """The images of the items first .. last - 1 of one chunk: uint8 [items, 64, 64, 3]."""
    rng = stream(shop.seed, "images", first // _CHUNK)
    rows = np.arange(first, last)
    x, y = _axes(rng, shop, rows)
    shape = _outlines(shop, rows, x, y)[..., None]
    figure = _patterns(rng, shop, rows, x, y)[..., None]
    colour = COLOUR_RGB[shop.items.colour[rows]].astype(np.float32) + rng.normal(0, 7, (len(rows), 3))
    dark = colour.mean(axis=1, keepdims=True) < 120
    second = np.where(dark, colour + 0.5 * (255 - colour), 0.55 * colour)
    product = colour[:, None, None] * (1 - figure) + second[:, None, None] * figure
    image = _backgrounds(rng, len(rows)) * (1 - shape) + product * _light(rng, x, y)[..., None] * shape
    pixels: NDArray[np.uint8] = np.clip(image, 0, 255).astype(np.uint8)
    return pixels


def _axes(rng: np.random.Generator, shop: DemoShop, rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Coordinates of the pixels in the product's own frame, moved and scaled for each item: x and y, each [n, 64]."""
    pixels = np.linspace(-1.15, 1.15, SIZE, dtype=np.float32)
    moved = rng.uniform(-0.1, 0.1, (2, len(rows), 1)).astype(np.float32)
    zoom = rng.uniform(0.95, 1.15, (len(rows), 1)).astype(np.float32)
    chunky = STYLE_POINTS[shop.items.style[rows], 1][:, None] > 0
    wide, tall = np.where(chunky, 1.12, 0.74).astype(np.float32), np.where(chunky, 0.88, 1.06).astype(np.float32)
    return (pixels - moved[0]) / (zoom * wide), (pixels - moved[1]) / (zoom * tall)


def _outlines(shop: DemoShop, rows: Rows, x: FloatArray, y: FloatArray) -> FloatArray:
    """1 inside the product, 0 outside, soft at the edge: [n, 64, 64]. A blob is a superellipse."""
    silhouettes = list(_BLOBS)
    kind = np.array([silhouettes.index(leaf.silhouette) for leaf in shop.leaves])[shop.items.leaf[rows]]
    blobs = _blob_table()[kind]
    power = _EXPONENTS[STYLE_POINTS[shop.items.style[rows], 0].astype(np.intp) + 1][:, None]
    nearest = np.full((len(rows), SIZE, SIZE), np.inf, np.float32)
    for blob in range(_MAX_BLOBS):
        centre_x, centre_y, radius_x, radius_y = (blobs[:, blob, part][:, None] for part in range(4))
        across = np.minimum(np.abs((x - centre_x) / radius_x), 50.0) ** power
        down = np.minimum(np.abs((y - centre_y) / radius_y), 50.0) ** power
        np.minimum(nearest, down[:, :, None] + across[:, None, :], out=nearest)
    return np.clip((1.0 - nearest) * 5.0 + 0.5, 0.0, 1.0)


def _blob_table() -> FloatArray:
    """Centre x, centre y, radius x, radius y: [silhouettes, _MAX_BLOBS, 4]."""
    padded = [[*blobs, *[_NO_BLOB] * (_MAX_BLOBS - len(blobs))] for blobs in _BLOBS.values()]
    return np.array(padded, np.float32)


# The second colour goes where these are positive; u and v run across and along the pattern.
_FIGURES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "stripes": lambda u, v: np.sin(u),
    "checks": lambda u, v: -np.sin(u) * np.sin(v),
    "dots": lambda u, v: np.cos(u) + np.cos(v) - np.float32(0.9),
    "waves": lambda u, v: np.sin(u + 1.6 * np.sin(0.55 * v)),
    "marbled": lambda u, v: np.sin(0.6 * u + 2.2 * np.sin(0.37 * v)) + np.sin(0.5 * v + 2 * np.sin(0.43 * u)) - 0.35,
}


def _patterns(rng: np.random.Generator, shop: DemoShop, rows: Rows, x: FloatArray, y: FloatArray) -> FloatArray:
    """1 where the second colour goes: [n, 64, 64]. Turned a little, with its own scale and phase for each item."""
    turn = rng.uniform(-0.5, 0.5, (len(rows), 1, 1)).astype(np.float32)
    scale = rng.uniform(10.0, 14.0, (len(rows), 1, 1)).astype(np.float32)
    phase = rng.uniform(0, 6.28, (2, len(rows), 1, 1)).astype(np.float32)
    across, down = x[:, None, :], y[:, :, None]
    u = scale * (across * np.cos(turn) + down * np.sin(turn)) + phase[0]
    v = scale * (down * np.cos(turn) - across * np.sin(turn)) + phase[1]
    figure = np.zeros(u.shape, np.float32)
    for name, height in _FIGURES.items():
        chosen = shop.items.pattern[rows] == PATTERN_NAMES.index(name)
        figure[chosen] = height(u[chosen], v[chosen]) > 0
    return figure


def _light(rng: np.random.Generator, x: FloatArray, y: FloatArray) -> FloatArray:
    """Brightness that falls off from a lamp at the top left or right: [n, 64, 64]."""
    side = rng.uniform(-0.12, 0.12, (len(x), 1, 1)).astype(np.float32)
    level = rng.uniform(0.9, 1.08, (len(x), 1, 1)).astype(np.float32)
    light: FloatArray = level + side * x[:, None, :] - 0.08 * y[:, :, None]
    return light


def _backgrounds(rng: np.random.Generator, count: int) -> FloatArray:
    """Light paper with a tint and a coarse grain: [n, 64, 64, 3]."""
    paper = rng.uniform(222, 250, (count, 1, 1, 1)) + rng.normal(0, 3, (count, 1, 1, 3))
    grain = rng.normal(0, 2.5, (count, _GRAIN, _GRAIN, 1)).astype(np.float32)
    cell = SIZE // _GRAIN
    background: FloatArray = (paper + grain.repeat(cell, axis=1).repeat(cell, axis=2)).astype(np.float32)
    return background


def _encode(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def image_rows(shop: DemoShop, report: Callable[[int, int], None]) -> pl.LazyFrame:
    """The rows of images.parquet as a stream, for sink_parquet. `report` hears how many items of how many are drawn."""

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        ids = item_ids(len(shop.items))
        for first in range(0, len(shop.items), _CHUNK):
            last = min(first + _CHUNK, len(shop.items))
            encoded = [_encode(image) for image in draw_images(shop, first, last)]
            report(last, len(shop.items))
            yield pl.DataFrame({"item_id": ids[first:last], "image": encoded}, schema=IMAGE_SCHEMA)

    return register_io_source(source, schema=IMAGE_SCHEMA)
