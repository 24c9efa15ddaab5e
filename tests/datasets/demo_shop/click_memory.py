"""What the demo shop's log says, kept dense and simple: the features behind the small models of learned_signals.py.

For small shops only: it holds a table of users by items and one of items by items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.behaviour.intents import Intents, meets_category, meets_wishes
from shopfuse.datasets.demo_shop.behaviour.reactions import DayLog
from shopfuse.datasets.demo_shop.world.appearance import COLOUR_POINTS, PATTERN_POINTS, STYLE_POINTS, FloatArray
from shopfuse.datasets.demo_shop.world.items import MATERIAL_NAMES, PRICE_LEVELS
from shopfuse.datasets.demo_shop.world.period import SCENES
from shopfuse.datasets.demo_shop.world.tastes import Rows
from shopfuse.datasets.demo_shop.world.world import DemoShop

_POINTS = {"colour": COLOUR_POINTS, "pattern": PATTERN_POINTS, "style": STYLE_POINTS}
_SMOOTHING = 4.0  # clicks a shopper must make before the affinities speak up
_SHRINKAGE = 3.0  # of co-click counts
_IMPATIENCE = 0.6  # assumed: examination falls as (place + 1) ** -impatience


@dataclass(frozen=True, slots=True)
class Seen:
    """The log as flat rows, one for each item that was shown."""

    user: Rows
    item: Rows
    slot: Rows
    day: Rows
    scene: Rows
    is_search: NDArray[np.bool_]
    met: FloatArray  # see `met`: [rows, 3]
    clicked: NDArray[np.bool_]

    def where(self, chosen: NDArray[np.bool_]) -> Seen:
        """The chosen rows alone."""
        return Seen(*(getattr(self, name)[chosen] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Memory:
    """What the clicks up to some day say about shoppers, items and pairs of items."""

    affinities: dict[str, FloatArray]  # how a shopper's clicks differ from what was shown: [users, levels]
    click_rate: FloatArray  # [items]: log, corrected for position, smoothed
    clicks: FloatArray  # [users, items], 0 or 1
    co_clicks: FloatArray  # [items, items]: cosine, shrunk
    scene_lift: FloatArray  # [scenes, leaves]: log of the click rate in the scene over the usual one


def met(shop: DemoShop, intents: Intents, chosen: Rows) -> FloatArray:
    """Category met, all wishes met as far as the text tells, wishes met that only the image tells: [n, k, 3]."""
    category = meets_category(shop, intents, chosen)
    written = meets_wishes(shop.items, intents, chosen, as_written=True)
    matches = meets_wishes(shop.items, intents, chosen)
    return np.stack([category, category & written, matches & ~written], axis=2).astype(np.float32)


def flatten(shop: DemoShop, logs: list[DayLog]) -> Seen:
    """The logs of some days as flat rows."""
    parts = [_flat_day(shop, log) for log in logs]
    return Seen(*(np.concatenate([getattr(part, name) for part in parts]) for name in Seen.__slots__))


def _flat_day(shop: DemoShop, log: DayLog) -> Seen:
    row, slot = np.nonzero(log.filled)
    requests = log.requests
    matches = met(shop, requests.intents, log.slates) * requests.is_search[:, None, None]
    return Seen(
        user=requests.people[requests.person[row]],
        item=log.slates[row, slot],
        slot=slot,
        day=np.full(len(row), requests.day),
        scene=np.full(len(row), requests.scene),
        is_search=requests.is_search[row],
        met=matches[row, slot],
        clicked=log.clicked[row, slot],
    )


def remember(shop: DemoShop, seen: Seen) -> Memory:
    """Sum up the rows seen so far."""
    levels = {"leaf": len(shop.leaves), "material": len(MATERIAL_NAMES), "brand": len(shop.brands)}
    levels["price_level"] = PRICE_LEVELS
    clicks = np.zeros((len(shop.users), len(shop.items)), np.float32)
    clicks[seen.user[seen.clicked], seen.item[seen.clicked]] = 1.0
    return Memory(
        affinities={
            **{
                part: _shares(seen, getattr(shop.items, part), count, len(shop.users)) for part, count in levels.items()
            },
            **{part: _direction(shop, seen, part) for part in _POINTS},
        },
        click_rate=_click_rate(seen, len(shop.items)),
        clicks=clicks,
        co_clicks=_co_clicks(clicks),
        scene_lift=_scene_lift(shop, seen),
    )


def _shares(seen: Seen, level: NDArray[np.int16], levels: int, users: int) -> FloatArray:
    """Log of each level's share in the shopper's clicks over its share in what was shown: [users, levels]."""
    table = np.zeros((users, levels), np.float32)
    np.add.at(table, (seen.user[seen.clicked], level[seen.item[seen.clicked]]), 1.0)
    base = np.bincount(level[seen.item], minlength=levels) / len(seen.item) + 1e-4
    share = (table + _SMOOTHING * base) / (table.sum(axis=1, keepdims=True) + _SMOOTHING)
    return np.asarray(np.log(share / base), np.float32)


def _direction(shop: DemoShop, seen: Seen, part: str) -> FloatArray:
    """How far each level lies in the direction of the shopper's clicks, from what was shown: [users, levels]."""
    levels = _POINTS[part]
    points = levels[getattr(shop.items, part)]
    middle = points[seen.item].mean(axis=0)
    user = seen.user[seen.clicked]
    total = np.zeros((len(shop.users), levels.shape[1]), np.float32)
    np.add.at(total, user, points[seen.item[seen.clicked]] - middle)
    mean = total / (np.bincount(user, minlength=len(shop.users))[:, None] + _SMOOTHING)
    return np.asarray(mean @ (levels - middle).T, np.float32)


def _click_rate(seen: Seen, items: int) -> FloatArray:
    examined = np.bincount(seen.item, (seen.slot + 1.0) ** -_IMPATIENCE, minlength=items)
    clicked = np.bincount(seen.item[seen.clicked], minlength=items)
    return np.asarray(np.log((clicked + 2.0) / (examined + 8.0)), np.float32)


def _co_clicks(clicks: FloatArray) -> FloatArray:
    together = clicks.T @ clicks
    norm = np.sqrt(np.diag(together) + _SHRINKAGE)
    near = together / norm[:, None] / norm
    np.fill_diagonal(near, 0.0)
    return np.asarray(near, np.float32)


def _scene_lift(shop: DemoShop, seen: Seen) -> FloatArray:
    shape = (len(SCENES), len(shop.leaves))
    impressions, clicks = np.full(shape, 10.0), np.ones(shape)
    np.add.at(impressions, (seen.scene, shop.items.leaf[seen.item]), 1.0)
    np.add.at(clicks, (seen.scene, shop.items.leaf[seen.item]), seen.clicked)
    rate = np.log(clicks / impressions)
    return np.asarray(rate - rate[0], np.float32)
