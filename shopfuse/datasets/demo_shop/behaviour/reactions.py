"""What shoppers do with the lists: they look from the top, click what they want, and sometimes buy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.behaviour.intents import meets_category, meets_wishes
from shopfuse.datasets.demo_shop.behaviour.slates import SLOTS, draw_slates
from shopfuse.datasets.demo_shop.behaviour.visits import DayRequests, draw_requests
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.tastes import Rows, utility, wanted
from shopfuse.datasets.demo_shop.world.world import DemoShop

_MISSED_WISH, _WRONG_CATEGORY = 0.3, 0.03  # how far a miss lowers the wish for an item
_IMPATIENCE = np.array([0.5, 0.7, 0.6])  # by device: examination falls as (place + 1) ** -impatience
_STRAY_CLICKS = 0.004

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
    return DayLog(requests, slates, filled, clicked, viewed, carted, bought)


def _fit(shop: DemoShop, requests: DayRequests, slates: Rows) -> FloatArray:
    """How well the items answer the request, 0..1; always 1 on the home page."""
    category = meets_category(shop, requests.intents, slates)
    wishes = meets_wishes(shop.items, requests.intents, slates)
    fit = np.where(category, np.where(wishes, 1.0, _MISSED_WISH), _WRONG_CATEGORY)
    return np.where(requests.is_search[:, None], fit, 1.0).astype(np.float32)
