"""A small random shop, and its filters in plain Python: the reference for every index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.filter import ItemFilter
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.co_visit import build_co_visit
from shopfuse.recall.neighbours import build_neighbours, build_transitions
from shopfuse.recall.visits import Sessions

NOUNS = ("shoe", "lamp", "camera", "chair", "phone", "cable")
ADJECTIVES = ("red", "blue", "small", "wireless", "wooden", "vintage")
BRANDS = ("Acme", "Nordlicht", "Kiku", None)


def make_items(count: int, seed: int = 0) -> list[CatalogueItem]:
    """Items in ascending order of their ids, with every optional value missing now and then."""
    rng = np.random.default_rng(seed)
    return [_item(number, rng) for number in range(count)]


def _item(number: int, rng: np.random.Generator) -> CatalogueItem:
    noun, other = rng.choice(NOUNS, 2)
    return CatalogueItem(
        item_id=f"item-{number:06d}",
        title=f"{rng.choice(ADJECTIVES)} {noun} {rng.choice(ADJECTIVES)}",
        description=f"goes with a {other}" if rng.random() < 0.7 else "",
        brand=BRANDS[int(rng.integers(len(BRANDS)))],
        category=(("Home", "Light", noun), ("Tech", noun), ())[int(rng.integers(3))],
        price=None if rng.random() < 0.2 else float(np.round(rng.lognormal(3, 1), 2)),
        attributes=(("Colour", str(rng.choice(ADJECTIVES[:2]))), ("Size", str(rng.choice(("S", "M", "L"))))),
        available=bool(rng.random() < 0.8),
        other_categories=((("Sale", str(noun)), ("Home", "Gifts")), (("Home", "Light", str(noun)),), ())[number % 3],
    )


def passes(item: CatalogueItem, wanted: ItemFilter) -> bool:
    levels = (item.category, *item.other_categories)
    paths = {" > ".join(path[:depth]).casefold() for path in levels for depth in range(1, len(path) + 1)}
    values = {(name.casefold(), value.casefold()) for name, value in item.attributes}
    bounded = wanted.min_price is not None or wanted.max_price is not None
    low, high = wanted.min_price or 0.0, np.inf if wanted.max_price is None else wanted.max_price
    priced = item.price is not None and bool(np.float32(low) <= np.float32(item.price) <= high)
    return (
        (wanted.include_unavailable or item.available)
        and (not wanted.brands or (item.brand or "").casefold() in {brand.casefold() for brand in wanted.brands})
        and (not wanted.categories or any(path.casefold() in paths for path in wanted.categories))
        and all(any((name.casefold(), v.casefold()) in values for v in choices) for name, choices in wanted.attributes)
        and (priced or not bounded)
    )


def unit_vectors(count: int, dimensions: int, seed: int = 0, clusters: int = 0) -> NDArray[np.float32]:
    """Random directions, around `clusters` centres where that is given."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, dimensions))
    if clusters:
        vectors = 0.5 * vectors + rng.normal(size=(clusters, dimensions))[rng.integers(0, clusters, count)]
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def build_pair_indexes(folder: Path, sessions: Sessions, items: int) -> None:
    """Of a shop in which every session is another user's."""
    build_co_visit(folder, sessions, items)
    build_neighbours(folder, sessions, items)
    build_transitions(folder, sessions, items)
