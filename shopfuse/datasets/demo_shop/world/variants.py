"""Products in several colours and sizes: a share of the demo shop's items become variants of one product.

The variants of a product are neighbours in the order of the item ids, so that a product is a run of rows and bears the
number of its first. They share what makes the product: kind, brand, material, quality, style, and how readily the shop
shows it, which they divide. Colour, size, price and stock are their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.world.appearance import COLOUR_NAMES
from shopfuse.datasets.demo_shop.world.categories import Leaf
from shopfuse.datasets.demo_shop.world.items import NO_SIZE, Codes, Items
from shopfuse.datasets.demo_shop.world.seeds import stream

SIZES = {  # by group of categories, else by department
    "Shoes": ("38", "39", "40", "41", "42", "43", "44"),
    "Fashion": ("XS", "S", "M", "L", "XL"),
    "Home": ("small", "medium", "large"),
    "Sport": ("S", "M", "L"),
    "Electronics": ("compact", "standard", "plus"),
}
_SHAPES = ((2, 1), (3, 1), (4, 1), (1, 3), (2, 2), (2, 3), (3, 3), (4, 3), (2, 5), (3, 6))  # colours x sizes, at most
MOST_VARIANTS = max(colours * sizes for colours, sizes in _SHAPES)
_OWN = ("product", "colour", "size", "price", "available", "names_colour", "exposure")
_UNAVAILABLE = 0.12  # a size runs out more often than a product
_LARGER_COSTS = 0.04  # more, for each step of size


def sizes_of(leaf: Leaf) -> tuple[str, ...]:
    return SIZES.get(leaf.group, SIZES[leaf.department])


def with_variants(items: Items, share: float, leaves: Sequence[Leaf], seed: int) -> Items:
    """The items, of which about `share`, 0..1, are variants; 0 leaves all as they are."""
    if share == 0.0:
        return items
    rng = stream(seed, "variants")
    count = len(items)
    product, colour, size = _variants(rng, items, share, leaves)
    variant = size != NO_SIZE
    shared = {field.name: getattr(items, field.name)[product] for field in fields(Items) if field.name not in _OWN}
    price = np.floor(items.price[product] * (1.0 + _LARGER_COSTS * np.maximum(size, 0))) + 0.95
    portion = np.exp(0.7 * rng.standard_normal(count))
    portion /= np.bincount(product, weights=portion, minlength=count)[product]
    return replace(
        items,
        **shared,
        product=product,
        colour=colour,
        size=size,
        price=np.where(variant, price, items.price),
        available=np.where(variant, rng.random(count) >= _UNAVAILABLE, items.available),
        names_colour=items.names_colour | variant,
        exposure=np.where(variant, items.exposure[product] * portion, items.exposure).astype(np.float32),
    )


def _variants(
    rng: np.random.Generator, items: Items, share: float, leaves: Sequence[Leaf]
) -> tuple[NDArray[np.intp], Codes, Codes]:
    """(the first row of each item's product, colour, size), [items] each: one product after the other."""
    count, usual = len(items), float(np.mean([colours * sizes for colours, sizes in _SHAPES]))
    product, colour, size = np.arange(count), items.colour.copy(), items.size.copy()
    odds = share / (usual * (1.0 - share) + share)  # of a product to have variants
    start = 0
    while start < count:
        members = 1
        if rng.random() < odds:
            names = sizes_of(leaves[items.leaf[start]])
            colours, sizes = _SHAPES[rng.integers(len(_SHAPES))]
            sizes = min(sizes, len(names))
            members = min(colours * sizes, count - start)
            end, place = start + members, np.arange(members)
            product[start:end] = start
            colour[start:end] = rng.permutation(len(COLOUR_NAMES))[place // sizes]
            size[start:end] = rng.integers(len(names) - sizes + 1) + place % sizes
        start += members
    return product, colour, size
