"""What shoppers have in mind when they search: a category and at most two stated wishes. Tastes stay unsaid.

queries.py turns intents into queries; truth/graded.py grades items against them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.items import Codes, Items
from shopfuse.datasets.demo_shop.world.tastes import Liking, Rows, utility
from shopfuse.datasets.demo_shop.world.world import DemoShop

UNSAID = -1
_TARGETS = 12  # items that a shopper has in mind before choosing what to ask for
_FIRST = {
    "nothing": 0.34,
    "group": 0.10,
    "brand": 0.09,
    "material": 0.14,
    "feature": 0.13,
    "use": 0.08,
    "colour": 0.08,
    "pattern": 0.04,
}
_SECOND = {"nothing": 0.85, "material": 0.05, "feature": 0.06, "colour": 0.04}


@dataclass(frozen=True, slots=True)
class Intents:
    """One row for each search; UNSAID where a wish is not stated."""

    leaf: Codes  # UNSAID: any leaf of the group
    group: Codes
    brand: Codes
    material: Codes
    feature: Codes
    use: Codes
    colour: Codes
    pattern: Codes

    def __len__(self) -> int:
        return len(self.group)

    def take(self, rows: Rows) -> Intents:
        """The intents of these rows."""
        return Intents(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def draw_leaves(rng: np.random.Generator, shop: DemoShop, liking: Liking, rows: Rows, lift: FloatArray) -> Codes:
    """The category that each shopper is after now: interest, scene and size of the category decide."""
    size = np.diff(shop.shelves.leaf_start).astype(np.float32)
    appeal = 0.9 * liking.tables["leaf"][rows] + 0.6 * lift + 0.5 * np.log(size + 0.5)
    appeal = np.where(size > 0, appeal, -np.inf)
    chosen: Codes = (appeal + rng.gumbel(size=appeal.shape)).argmax(axis=1).astype(np.int16)
    return chosen


def draw_intents(
    rng: np.random.Generator, shop: DemoShop, leaf: Codes, liking: Liking, rows: Rows, lift: FloatArray, day: float
) -> Intents:
    """Intents of shoppers who are after `leaf`; stated wishes come from an existing item that the shopper likes."""
    pool = shop.shelves.draw(rng, *shop.shelves.in_leaf(leaf), _TARGETS)
    appeal = 1.1 * utility(liking, rows[:, None], shop.items, pool, lift) + rng.gumbel(size=pool.shape)
    appeal = np.where(shop.items.published_day[pool] <= day, appeal, -np.inf)
    target = pool[np.arange(len(pool)), appeal.argmax(axis=1)]
    first = rng.choice(list(_FIRST), size=len(leaf), p=list(_FIRST.values()))
    second = rng.choice(list(_SECOND), size=len(leaf), p=list(_SECOND.values()))
    second[first == "group"] = "nothing"
    feature = shop.items.features[target, rng.integers(0, 2, len(leaf))]
    return _state(shop, leaf, target, feature, first, second)


def _state(
    shop: DemoShop, leaf: Codes, target: Rows, feature: Codes, first: NDArray[np.str_], second: NDArray[np.str_]
) -> Intents:
    """Say what `first` and `second` name about the targets, and nothing else."""
    said = {
        "brand": np.where(shop.items.brand == len(shop.brands) - 1, UNSAID, shop.items.brand)[target],
        "material": shop.items.material[target],
        "feature": feature,
        "use": shop.items.use[target],
        "colour": shop.items.colour[target],
        "pattern": shop.items.pattern[target],
    }
    wishes = {
        name: np.where((first == name) | (second == name), values, UNSAID).astype(np.int16)
        for name, values in said.items()
    }
    whole_group = np.where(first == "group", UNSAID, leaf).astype(np.int16)
    return Intents(leaf=whole_group, group=shop.shelves.group_of_leaf[leaf], **wishes)


def meets_category(shop: DemoShop, intents: Intents, chosen: Rows) -> NDArray[np.bool_]:
    """Whether the items [n, k] are in the category that the n intents mean."""
    leaf = shop.items.leaf[chosen]
    same_group = shop.shelves.group_of_leaf[leaf] == intents.group[:, None]
    met: NDArray[np.bool_] = np.where(intents.leaf[:, None] == UNSAID, same_group, leaf == intents.leaf[:, None])
    return met


def meets_wishes(items: Items, intents: Intents, chosen: Rows, *, as_written: bool = False) -> NDArray[np.bool_]:
    """Whether the items [n, k] fulfil all that the n intents state.

    With `as_written`, looks are met only by items whose text names the colour: that is what a word index can see.
    """
    met = np.ones(chosen.shape, np.bool_)
    for wish in ("brand", "material", "use"):
        said = getattr(intents, wish)[:, None]
        met &= (said == UNSAID) | (getattr(items, wish)[chosen] == said)
    said = intents.feature[:, None]
    met &= (said == UNSAID) | (items.features[chosen] == said[:, :, None]).any(axis=2)
    for wish in ("colour", "pattern"):
        said = getattr(intents, wish)[:, None]
        matches = getattr(items, wish)[chosen] == said
        met &= (said == UNSAID) | (matches & items.names_colour[chosen] if as_written else matches)
    return met
