"""What the demo shop's items really are: the facts that text, image and price only partly show.

No words and no pixels here: wording.py writes the texts and images.py draws from these arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.world.appearance import (
    COLOUR_NAMES,
    PATTERN_NAMES,
    PATTERN_SHARES,
    STYLE_NAMES,
    FloatArray,
)
from shopfuse.datasets.demo_shop.world.brands import DEPARTMENTS, Brands
from shopfuse.datasets.demo_shop.world.categories import Leaf
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.vocabulary import FEATURES, MATERIALS, USES

Codes = NDArray[np.int16]

MATERIAL_NAMES = tuple(MATERIALS)
FEATURE_NAMES = tuple(FEATURES)
USE_NAMES = tuple(USES)
THEME_POINTS: FloatArray = np.array([term.theme for term in MATERIALS.values()], np.float32)  # [materials, 2]

PRICE_LEVELS = 8  # relative to the category: 0 is cheap
NO_SIZE = -1  # of an item that stands alone
HIDDEN = 3  # traits that neither text nor image shows: fit, sound, comfort

_COLOUR_NAMED = 0.15  # share of the items whose text says what colour they are
_NEW = 0.15  # share of the items that appear during the period
_UNBRANDED = 0.04
_UNAVAILABLE = 0.03


@dataclass(frozen=True, slots=True)
class Items:
    """One row for each item, in the order of the item ids."""

    leaf: Codes
    brand: Codes
    material: Codes
    features: Codes  # [items, 2]
    use: Codes
    colour: Codes
    pattern: Codes
    style: Codes
    price: NDArray[np.float64]
    price_level: Codes  # 0 .. PRICE_LEVELS - 1
    quality: FloatArray
    hidden: FloatArray  # [items, HIDDEN]
    exposure: FloatArray  # how readily the shop shows it; long-tailed
    published_day: FloatArray  # days after the start of the period; negative for old items
    available: NDArray[np.bool_]
    names_colour: NDArray[np.bool_]
    product: NDArray[np.intp]  # the first row of the item's product, its own where it stands alone
    size: Codes  # of a variant, among the sizes of its leaf (variants.py)

    def __len__(self) -> int:
        return len(self.leaf)


def _draw_brands(rng: np.random.Generator, departments: Codes, brands: Brands) -> Codes:
    chosen = np.full(len(departments), len(brands) - 1, np.int16)
    for department in range(len(DEPARTMENTS)):
        members = np.flatnonzero(departments == department)
        rows = np.flatnonzero(brands.department == department)
        share = brands.share[rows].astype(np.float64)
        chosen[members] = rng.choice(rows, size=len(members), p=share / share.sum())
    chosen[rng.random(len(departments)) < _UNBRANDED] = len(brands) - 1
    return chosen


def _codes_of(leaves: tuple[Leaf, ...], field: str, names: tuple[str, ...]) -> Codes:
    """The codes that each leaf allows: [leaves, 4]."""
    return np.array([[names.index(value) for value in getattr(leaf, field)] for leaf in leaves], np.int16)


def _two_features(rng: np.random.Generator, allowed: Codes) -> Codes:
    first = rng.integers(0, 4, len(allowed))
    second = (first + rng.integers(1, 4, len(allowed))) % 4
    rows = np.arange(len(allowed))
    return np.stack([allowed[rows, first], allowed[rows, second]], axis=1)


def _prices(rng: np.random.Generator, medians: NDArray[np.float64], lift: FloatArray) -> NDArray[np.float64]:
    """Log-normal round the category's median, ending in .95 as shops like it."""
    raw = medians * np.exp(0.35 * rng.standard_normal(len(medians)) + lift)
    prices: NDArray[np.float64] = np.maximum(np.floor(raw), 1.0) + 0.95
    return prices


def make_items(count: int, days: int, leaves: tuple[Leaf, ...], brands: Brands, seed: int) -> Items:
    """Draw `count` items. Colour, pattern, style and the hidden traits depend on nothing that the text says."""
    rng = stream(seed, "items")
    share = np.exp(0.4 * rng.standard_normal(len(leaves)))
    leaf = rng.choice(len(leaves), size=count, p=share / share.sum()).astype(np.int16)
    departments = np.array([DEPARTMENTS.index(row.department) for row in leaves], np.int16)[leaf]
    brand = _draw_brands(rng, departments, brands)
    rows = np.arange(count)
    material = _codes_of(leaves, "materials", MATERIAL_NAMES)[leaf][rows, rng.integers(0, 4, count)]
    medians = np.array([row.median_price for row in leaves])[leaf]
    price = _prices(rng, medians, 0.35 * brands.price_position[brand] + 0.15 * THEME_POINTS[material, 1])
    level = np.log(price / medians) / 0.5 * 1.6 + (PRICE_LEVELS - 1) / 2
    quality = 0.4 * brands.quality[brand] + rng.standard_normal(count)
    quality = (quality - quality.mean()) / quality.std()
    published = np.where(rng.random(count) < _NEW, rng.uniform(0, days, count), -rng.uniform(30, 700, count))
    return Items(
        leaf=leaf,
        brand=brand,
        material=material,
        features=_two_features(rng, _codes_of(leaves, "features", FEATURE_NAMES)[leaf]),
        use=_codes_of(leaves, "uses", USE_NAMES)[leaf][rows, rng.integers(0, 4, count)],
        colour=rng.integers(0, len(COLOUR_NAMES), count).astype(np.int16),
        pattern=rng.choice(len(PATTERN_NAMES), size=count, p=PATTERN_SHARES / PATTERN_SHARES.sum()).astype(np.int16),
        style=rng.integers(0, len(STYLE_NAMES), count).astype(np.int16),
        price=price,
        price_level=np.clip(np.rint(level), 0, PRICE_LEVELS - 1).astype(np.int16),
        quality=quality.astype(np.float32),
        hidden=rng.standard_normal((count, HIDDEN)).astype(np.float32),
        exposure=np.exp(0.9 * rng.standard_normal(count) + 0.4 * quality).astype(np.float32),
        published_day=published.astype(np.float32),
        available=rng.random(count) >= _UNAVAILABLE,
        names_colour=rng.random(count) < _COLOUR_NAMED,
        product=rows,
        size=np.full(count, NO_SIZE, np.int16),
    )
