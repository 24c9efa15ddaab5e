"""The demo shop as a value: everything that is fixed before the first shopper comes in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.brands import Brands, make_brands
from shopfuse.datasets.demo_shop.world.categories import Leaf, leaves_for
from shopfuse.datasets.demo_shop.world.items import Items, make_items
from shopfuse.datasets.demo_shop.world.period import LAST_DAY, Period
from shopfuse.datasets.demo_shop.world.shelves import Shelves, stack_shelves
from shopfuse.datasets.demo_shop.world.tastes import Liking, Rows, Users, liking_at, make_users, scene_lifts

MIN_ITEMS, MAX_ITEMS = 100, 5_000_000
MIN_DAYS, MAX_DAYS = 3, 366


class DemoShopError(ShopfuseError):
    """The demo shop was asked for in a size that it cannot have."""


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


def simulate_shop(*, items: int, users: int, days: int, seed: int, last_day: date = LAST_DAY) -> DemoShop:
    """Draw a shop. DemoShopError when a size is out of bounds."""
    _check("items", items, MIN_ITEMS, MAX_ITEMS)
    _check("users", users, 10, 10_000_000)
    _check("days", days, MIN_DAYS, MAX_DAYS)
    _check("seed", seed, 0, 2**63 - 1)
    leaves = leaves_for(items)
    brands = make_brands(seed)
    facts = make_items(items, days, leaves, brands, seed)
    return DemoShop(
        seed=seed,
        period=Period(days, last_day),
        leaves=leaves,
        brands=brands,
        items=facts,
        users=make_users(users, days, len(leaves), seed),
        shelves=stack_shelves(facts, leaves),
        lifts=scene_lifts(leaves),
    )


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise DemoShopError(f"demo shop: '{name}' must be between {low} and {high}, got {value}")
