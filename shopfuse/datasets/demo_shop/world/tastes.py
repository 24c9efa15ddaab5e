"""The demo shop's shoppers: latent tastes that drift, and the true utility of an item to a shopper.

Utility is a weighted sum of standardised parts. `parts` leaves some out, which is how the oracles of the tests
(signals.py) measure what a modality is worth. Nothing here knows of queries or of what was shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.world.appearance import COLOUR_POINTS, PATTERN_POINTS, STYLE_POINTS, FloatArray
from shopfuse.datasets.demo_shop.world.brands import Brands
from shopfuse.datasets.demo_shop.world.categories import Leaf
from shopfuse.datasets.demo_shop.world.items import HIDDEN, PRICE_LEVELS, THEME_POINTS, Items
from shopfuse.datasets.demo_shop.world.period import SCENES
from shopfuse.datasets.demo_shop.world.seeds import stream

Rows = NDArray[np.intp]

WEIGHTS = {
    "leaf": 0.85,
    "theme": 0.5,
    "brand": 0.5,
    "price": 0.5,
    "colour": 1.25,
    "pattern": 0.95,
    "style": 0.9,
    "hidden": 0.6,
    "quality": 0.6,
    "scene": 0.6,
}
TEXT_PARTS = ("leaf", "theme", "brand", "price")  # what the catalogue's words and price tell
IMAGE_PARTS = ("colour", "pattern", "style")  # what the image tells
BEHAVIOUR_PARTS = ("hidden", "quality")  # what only other shoppers' behaviour tells
ALL_PARTS = (*TEXT_PARTS, *IMAGE_PARTS, *BEHAVIOUR_PARTS, "scene")

_PERSONAS = 10
_PERSONA_SHARE = np.float32(0.93)  # correlation of a shopper's tastes with those of the persona
_POINTS = {"colour": 3, "pattern": 2, "style": 2, "theme": 2, "brand": 2, "price": 1, "hidden": HIDDEN}
_DIMENSIONS = sum(_POINTS.values())
_POINT_MEMORY = 0.95  # correlation of a shopper's tastes at the start and at the end
_LEAF_MEMORY = 0.88  # interests in categories move faster
_INTEREST_SPREAD = np.float32(0.9)
_LATE_SHARE = 0.25  # of the shoppers: first seen during the period
_LIFTED = {"campaign": ("Audio", "Computing", "Phones", "Fitness"), "holiday": ("Decor", "Kitchen", "Accessories")}
_LEVELS = {"theme": THEME_POINTS, "colour": COLOUR_POINTS, "pattern": PATTERN_POINTS, "style": STYLE_POINTS}
_PRICE_POINTS: FloatArray = np.linspace(-1.6, 1.6, PRICE_LEVELS, dtype=np.float32)[:, None]


@dataclass(frozen=True, slots=True)
class Users:
    """One row for each shopper, in the order of the user ids."""

    points: tuple[FloatArray, FloatArray]  # places in the spaces of taste at the start and at the end: [users, 15]
    interests: tuple[FloatArray, FloatArray]  # in the leaf categories, at the start and at the end: [users, leaves]
    activity: FloatArray  # mean 1, long-tailed
    joined_day: FloatArray  # days after the start of the period; negative for old shoppers
    device: NDArray[np.int8]
    locale: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.activity)


@dataclass(frozen=True, slots=True)
class Liking:
    """How much some shoppers like each level of each part, at one moment. All tables are [shoppers, levels]."""

    tables: dict[str, FloatArray]
    hidden: FloatArray  # [shoppers, HIDDEN]


def make_users(count: int, days: int, leaves: int, seed: int) -> Users:
    """Shoppers near a few personas, each with deviations of its own, who drift towards another persona."""
    rng = stream(seed, "users")
    width = _DIMENSIONS + leaves
    personas = rng.standard_normal((_PERSONAS, width), dtype=np.float32)
    start, fresh = _near_personas(rng, personas, count), _near_personas(rng, personas, count)
    memory = np.repeat(np.array([_POINT_MEMORY, _LEAF_MEMORY], np.float32), [_DIMENSIONS, leaves])
    end = memory * start + np.sqrt(1 - memory**2) * fresh
    activity = np.exp(0.9 * rng.standard_normal(count))
    late = rng.random(count) < _LATE_SHARE
    return Users(
        points=(start[:, :_DIMENSIONS], end[:, :_DIMENSIONS]),
        interests=(start[:, _DIMENSIONS:], end[:, _DIMENSIONS:]),
        activity=(activity / activity.mean()).astype(np.float32),
        joined_day=np.where(late, rng.uniform(0, days, count), -1.0).astype(np.float32),
        device=rng.choice(3, size=count, p=[0.35, 0.45, 0.20]).astype(np.int8),
        locale=rng.choice(3, size=count, p=[0.5, 0.3, 0.2]).astype(np.int8),
    )


def _near_personas(rng: np.random.Generator, personas: FloatArray, count: int) -> FloatArray:
    """Tastes of unit variance, each near those of a persona drawn at random: [count, width]."""
    own = rng.standard_normal((count, personas.shape[1]), dtype=np.float32)
    persona = personas[rng.integers(0, len(personas), count)]
    tastes: FloatArray = _PERSONA_SHARE * persona + np.sqrt(1 - _PERSONA_SHARE**2) * own
    return tastes


def _standardised(table: FloatArray) -> FloatArray:
    scaled: FloatArray = (table - table.mean(axis=1, keepdims=True)) / (table.std(axis=1, keepdims=True) + 1e-6)
    return scaled


def _directions(places: FloatArray, levels: FloatArray) -> FloatArray:
    """How far each level lies in the direction of each shopper's taste, standardised: [shoppers, levels]."""
    return _standardised(places @ levels.T)


def liking_at(users: Users, rows: Rows, progress: float, brands: Brands) -> Liking:
    """The tastes of the shoppers `rows` when a share `progress` of the period is over."""
    points = (1 - progress) * users.points[0][rows] + progress * users.points[1][rows]
    interests = (1 - progress) * users.interests[0][rows] + progress * users.interests[1][rows]
    ends = np.cumsum(list(_POINTS.values()))[:-1]
    place = dict(zip(_POINTS, np.split(points, ends, axis=1), strict=True))
    levels = {**_LEVELS, "brand": brands.style, "price": _PRICE_POINTS}
    tables = {part: _directions(place[part], points_of) for part, points_of in levels.items()}
    few_strong = np.exp(_INTEREST_SPREAD * interests)  # a shopper cares much for a few categories
    return Liking({**tables, "leaf": _standardised(few_strong)}, place["hidden"])


def scene_lifts(leaves: tuple[Leaf, ...]) -> FloatArray:
    """How far each scene raises the demand for each leaf, mean 0: [scenes, leaves]."""
    lifted = [[float(leaf.group in _LIFTED.get(scene, ())) for leaf in leaves] for scene in SCENES]
    lifts = np.array(lifted, np.float32)
    centred: FloatArray = 2.0 * (lifts - lifts.mean(axis=1, keepdims=True))
    return centred


def utility(
    liking: Liking,
    rows: Rows,
    items: Items,
    chosen: Rows,
    lift: FloatArray,
    parts: Iterable[str] = ALL_PARTS,
) -> FloatArray:
    """The true utility of the items `chosen` to the shoppers `rows` of `liking` (broadcast together), roughly normal.

    `lift` is the scene's row of scene_lifts.
    """
    levels = {
        "leaf": items.leaf,
        "theme": items.material,
        "brand": items.brand,
        "price": items.price_level,
        "colour": items.colour,
        "pattern": items.pattern,
        "style": items.style,
    }
    total = np.zeros(np.broadcast(rows, chosen).shape, np.float32)
    for part in parts:
        if part == "hidden":
            value = (liking.hidden[rows] * items.hidden[chosen]).sum(axis=-1) / np.float32(np.sqrt(HIDDEN))
        elif part == "quality":
            value = items.quality[chosen]
        elif part == "scene":
            value = lift[items.leaf[chosen]]
        else:
            value = liking.tables[part][rows, levels[part][chosen]]
        total += np.float32(WEIGHTS[part]) * value
    return total


def wanted(utilities: FloatArray) -> FloatArray:
    """The probability that an examined item of this utility is wanted."""
    probability: FloatArray = 1.0 / (1.0 + np.exp(np.float32(4.0) - np.float32(1.4) * utilities))
    return probability
