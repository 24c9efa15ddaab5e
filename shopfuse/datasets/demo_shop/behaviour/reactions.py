"""What shoppers do with the lists: they look from the top, click what they want, and sometimes buy.

Who clicks a product of several variants may take another one than the list showed: what they like best, in their size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.behaviour.intents import meets_category, meets_wishes
from shopfuse.datasets.demo_shop.behaviour.slates import SLOTS, draw_slates
from shopfuse.datasets.demo_shop.behaviour.visits import DayRequests, draw_requests
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.items import NO_SIZE
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.tastes import Rows, utility, wanted
from shopfuse.datasets.demo_shop.world.variants import MOST_VARIANTS, sizes_of
from shopfuse.datasets.demo_shop.world.world import DemoShop

_MISSED_WISH, _WRONG_CATEGORY = 0.3, 0.03  # how far a miss lowers the wish for an item
_IMPATIENCE = np.array([0.5, 0.7, 0.6])  # by device: examination falls as (place + 1) ** -impatience
_STRAY_CLICKS = 0.004
_MISFIT = np.float32(4.0)  # of a step of size, in units of utility: nobody buys shoes that do not fit

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DayLog:
    """One day of the shop: requests, the items of their lists, and what came of it. Arrays are [requests, SLOTS]."""

    requests: DayRequests
    slates: Rows
    filled: Flags
    clicked: Flags
    viewed: Flags  # stayed on the page of the item
    carted: Flags
    bought: Flags
    taken: Rows  # the item that is put into the cart and bought: a variant of the one that was shown


def simulate_day(shop: DemoShop, day: int) -> DayLog:
    """Live through one day. Days are independent, given the shop."""
    rng = stream(shop.seed, "day", day)
    requests = draw_requests(rng, shop, day)
    slates, filled = draw_slates(rng, shop, requests)
    utilities = utility(requests.liking, requests.person[:, None], shop.items, slates, requests.lift)
    wish = wanted(utilities) * _fit(shop, requests, slates)
    impatience = _IMPATIENCE[shop.users.device[requests.people[requests.person]]][:, None]
    examined = rng.random(slates.shape) < (np.arange(SLOTS) + 1.0) ** -impatience
    stray = rng.random(slates.shape) < _STRAY_CLICKS
    clicked = filled & examined & ((rng.random(slates.shape) < wish) | stray)
    viewed = clicked & (rng.random(slates.shape) < 0.4 + 0.6 * wish)
    carted = viewed & (rng.random(slates.shape) < 0.08 + 0.5 * wish)
    bought = carted & (rng.random(slates.shape) < 0.15 + 0.5 * wish)
    return DayLog(requests, slates, filled, clicked, viewed, carted, bought, _taken(shop, requests, slates, carted))


def _fit(shop: DemoShop, requests: DayRequests, slates: Rows) -> FloatArray:
    """How well the items answer the request, 0..1; always 1 on the home page."""
    category = meets_category(shop, requests.intents, slates)
    wishes = meets_wishes(shop.items, requests.intents, slates)
    fit = np.where(category, np.where(wishes, 1.0, _MISSED_WISH), _WRONG_CATEGORY)
    return np.where(requests.is_search[:, None], fit, 1.0).astype(np.float32)


def _taken(shop: DemoShop, requests: DayRequests, slates: Rows, carted: Flags) -> Rows:
    """What is put into the cart, [requests, SLOTS]: of the variants that can be bought the best liked one in the
    shopper's size, or in the nearest."""
    taken = slates.copy()
    row, slot = np.nonzero(carted & (shop.items.size[slates] != NO_SIZE))
    if not len(row):
        return taken
    first = shop.items.product[slates[row, slot]][:, None]
    variants = np.minimum(first + np.arange(MOST_VARIANTS), len(shop.items) - 1)  # [n, MOST_VARIANTS]
    liked = utility(requests.liking, requests.person[row][:, None], shop.items, variants, requests.lift)
    sizes = np.array([len(sizes_of(leaf)) for leaf in shop.leaves])[shop.items.leaf[variants]]
    build = own_build(shop, requests.people[requests.person[row]])[:, None]
    misfit = np.abs(shop.items.size[variants] - np.floor(build * sizes))
    known = (shop.items.product[variants] == first) & shop.items.available[variants]
    best = np.where(known, liked - _MISFIT * misfit, -np.inf).argmax(axis=1)
    taken[row, slot] = variants[np.arange(len(row)), best]
    return taken


def own_build(shop: DemoShop, people: Rows) -> FloatArray:
    """Where in the range of sizes each shopper lies, 0..1: the same every day."""
    drawn = stream(shop.seed, "variants", 1).random(len(shop.users), np.float32)
    return drawn[people]
