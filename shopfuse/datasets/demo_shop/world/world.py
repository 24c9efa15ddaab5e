"""The demo shop as a value: everything that is fixed before the first shopper comes in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.brands import Brands, make_brands
from shopfuse.datasets.demo_shop.world.categories import Leaf, leaves_for
from shopfuse.datasets.demo_shop.world.items import Codes, Items, make_items
from shopfuse.datasets.demo_shop.world.period import LAST_DAY, Period
from shopfuse.datasets.demo_shop.world.tastes import Liking, Rows, Users, liking_at, make_users, scene_lifts
from shopfuse.datasets.demo_shop.world.variants import with_variants

MIN_ITEMS, MAX_ITEMS = 100, 5_000_000
MIN_DAYS, MAX_DAYS = 3, 366

Places = NDArray[np.intp]


class DemoShopError(ShopfuseError):
    """The demo shop was asked for in a size that it cannot have."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """The items in order of their leaf, with running sums of their exposure."""

    order: Places  # item rows, leaf by leaf
    running: NDArray[np.float64]  # exposure before each place: [items + 1]
    leaf_start: Places  # place of each leaf's first item: [leaves + 1]
    group_of_leaf: Codes
    group_start: Places  # [groups + 1]
    group_names: tuple[str, ...]

    def in_leaf(self, leaf: Codes) -> tuple[Places, Places]:
        """First and past-the-last place of each leaf."""
        return self.leaf_start[leaf], self.leaf_start[leaf + 1]

    def in_group(self, group: Codes) -> tuple[Places, Places]:
        """First and past-the-last place of each group."""
        return self.group_start[group], self.group_start[group + 1]

    def draw(self, rng: np.random.Generator, first: Places, last: Places, count: int) -> Places:
        """Item rows [n, count] between the places `first` and `last`, with replacement, by exposure."""
        low, high = self.running[first][:, None], self.running[last][:, None]
        point = low + rng.random((len(first), count)) * (high - low)
        place = np.searchsorted(self.running, point, side="right") - 1
        last_place = np.maximum(last - 1, first)[:, None]
        drawn: Places = self.order[np.clip(place, first[:, None], last_place).clip(0, len(self.order) - 1)]
        return drawn


@dataclass(frozen=True, slots=True)
class DemoShop:
    """Catalogue, shoppers and calendar. The same seed and sizes give the same shop."""

    seed: int
    period: Period
    leaves: tuple[Leaf, ...]
    brands: Brands
    items: Items
    users: Users
    shelves: Shelves
    lifts: FloatArray  # demand by scene: [scenes, leaves]

    def liking(self, users: Rows, progress: float) -> Liking:
        """The tastes of these shoppers when a share of the period is over."""
        return liking_at(self.users, users, progress, self.brands)


def simulate_shop(
    *, items: int, users: int, days: int, seed: int, last_day: date = LAST_DAY, groups: float = 0.0
) -> DemoShop:
    """Draw a shop, where a share `groups` of the items are variants. DemoShopError when a size is out of bounds."""
    _check("items", items, MIN_ITEMS, MAX_ITEMS)
    _check("users", users, 10, 10_000_000)
    _check("days", days, MIN_DAYS, MAX_DAYS)
    _check("seed", seed, 0, 2**63 - 1)
    leaves = leaves_for(items)
    brands = make_brands(seed)
    if not 0.0 <= groups < 1.0:
        raise DemoShopError(f"demo shop: 'groups' must be a share from 0 to below 1, got {groups}")
    facts = with_variants(make_items(items, days, leaves, brands, seed), groups, leaves, seed)
    return DemoShop(
        seed=seed,
        period=Period(days, last_day),
        leaves=leaves,
        brands=brands,
        items=facts,
        users=make_users(users, days, len(leaves), seed),
        shelves=_stack_shelves(facts, leaves),
        lifts=scene_lifts(leaves),
    )


def _stack_shelves(items: Items, leaves: tuple[Leaf, ...]) -> Shelves:
    """Sort the items by leaf; the leaves of a group are neighbours in the tree, so that groups are runs too."""
    order = np.argsort(items.leaf, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(items.exposure[order], dtype=np.float64)])
    leaf_start = np.searchsorted(items.leaf[order], np.arange(len(leaves) + 1))
    names = tuple(dict.fromkeys(leaf.group for leaf in leaves))
    group_of_leaf = np.array([names.index(leaf.group) for leaf in leaves], np.int16)
    first_leaf = np.searchsorted(group_of_leaf, np.arange(len(names) + 1))
    return Shelves(order, running, leaf_start, group_of_leaf, leaf_start[first_leaf], names)


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise DemoShopError(f"demo shop: '{name}' must be between {low} and {high}, got {value}")
