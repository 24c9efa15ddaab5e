"""An item's row in the feature store, from the catalogue and the events before one moment.

What happened to a variant counts for its product group, and every variant has the group's numbers: a new one is not
cold. Rates count an impression by how often its slot is clicked at all (clicks over expected clicks, COEC): an item
shown at the bottom of lists is not a bad item. All counts are shrunk towards the shop's average.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.ranking.features import ITEM_ROW, SCENE_SLOTS
from shopfuse.ranking.repeats import USUAL_INTERVAL_S, occasions
from shopfuse.ranking.user_state import CONSUMES, EVENT_CODES, EVENT_WEIGHT
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import IMPRESSION, Events

POPULARITY_HALF_LIFE_S = 14 * 86400.0
PRIOR_CLICKS = 2.0  # expected clicks that an item without impressions is credited with
PRIOR_FOLLOWERS = 5.0  # clicks that an item without clicks is credited with, for cart and purchase rates
PRIOR_GAPS = 5.0  # gaps that an item is credited with at its category's interval, the category at the shop's
PRIOR_USERS = 5.0  # users that an item is credited with at its category's repeat rate, the category at the shop's
PRIOR_DEMAND = 50.0  # engaged events that a category is credited with, for scene lifts
_SLOTS = 64  # list positions told apart
Floats = NDArray[np.float32]


def item_rows_at(catalogue: Catalogue, events: Events, at: float) -> NDArray[np.void]:
    """ITEM_ROW [N] as known at `at`: later events, and those of that very moment, play no part."""
    events, group = events.before(at).of_groups(catalogue.group), catalogue.group
    rows = np.zeros(len(catalogue), ITEM_ROW)
    rows["price"] = catalogue.price
    rows["price_percentile"] = price_percentiles(catalogue)
    rows["popularity"] = popularity(events, len(catalogue), at)[group]
    for name, rate in zip(
        ("click_rate", "cart_rate", "purchase_rate"), engagement_rates(events, len(catalogue)), strict=True
    ):
        rows[name] = rate[group]
    rows["published_at"] = catalogue.published_at
    rows["has_image"] = catalogue.has_image
    rows["available"] = catalogue.available
    rows["brand"], rows["category"], rows["parent"] = catalogue.brand, catalogue.category, catalogue.parent
    rows["scene_lift"] = scene_lifts(catalogue, events)
    interval, rate, rows["category_repeat_rate"] = repeats(catalogue, events, at)
    rows["repeat_interval"], rows["repeat_rate"] = interval[group], rate[group]
    rows["updated_at"] = at
    return rows


def price_percentiles(catalogue: Catalogue) -> Floats:
    """The rank of each price within its leaf category, 0..1; 0.5 where the price is unknown or alone."""
    frame = pl.DataFrame({"category": catalogue.category, "price": catalogue.price}).with_columns(
        pl.col("price").fill_nan(None)
    )
    rank = pl.col("price").rank("average").over("category")
    count = pl.col("price").count().over("category")
    shares = frame.select(((rank - 1) / (count - 1)).alias("share"))["share"]
    return shares.fill_nan(0.5).fill_null(0.5).to_numpy().astype(np.float32)


def popularity(events: Events, items: int, at: float) -> Floats:
    """Recent engagement on a log scale, as a share of the most popular item's: [N], 0..1."""
    engaged = events.engaged
    weight = EVENT_WEIGHT[engaged.kind] * np.exp2(np.minimum(engaged.at - at, 0.0) / POPULARITY_HALF_LIFE_S)
    score = np.log1p(np.bincount(engaged.row, weights=weight, minlength=items))
    shares: Floats = (score / max(float(score.max(initial=0.0)), 1e-9)).astype(np.float32)
    return shares


def engagement_rates(events: Events, items: int) -> tuple[Floats, Floats, Floats]:
    """Smoothed (clicks / impressions, carts / clicks, purchases / clicks), [N] each; 0 in a log without the latter."""
    impressions = events.take(events.kind == IMPRESSION)
    clicked = events.take(events.kind == EVENT_CODES["select_item"])
    slot = np.clip(impressions.position, 0, _SLOTS - 1)
    impressions_in_slot = np.bincount(slot, minlength=_SLOTS)
    clicked_in_slot = np.bincount(np.clip(clicked.position, 0, _SLOTS - 1), minlength=_SLOTS)
    usual = min(len(clicked) / len(impressions), 1.0) if len(impressions) else 0.0
    slot_rate = (clicked_in_slot + 50 * usual) / (impressions_in_slot + 50)
    expected = np.bincount(impressions.row, weights=slot_rate[slot], minlength=items)
    clicks = np.bincount(clicked.row, minlength=items)
    click_rate = usual * (clicks + PRIOR_CLICKS) / (expected + PRIOR_CLICKS)
    follow = [_follow_rate(events, kind, clicks) for kind in ("add_to_cart", "purchase")]
    return click_rate.astype(np.float32), follow[0], follow[1]


def _follow_rate(events: Events, kind: str, clicks: NDArray[np.int64]) -> Floats:
    followed = np.bincount(events.row[events.kind == EVENT_CODES[kind]], minlength=len(clicks))
    if not clicks.any():
        return np.zeros(len(clicks), np.float32)
    usual = min(followed.sum() / clicks.sum(), 1.0)
    smoothed = (followed + PRIOR_FOLLOWERS * usual) / (clicks + PRIOR_FOLLOWERS)
    rate: Floats = np.minimum(smoothed, 1.0).astype(np.float32)
    return rate


def scene_lifts(catalogue: Catalogue, events: Events) -> Floats:
    """log of the share of demand of an item's category in each scene over its usual share: [N, SCENE_SLOTS]."""
    engaged = events.engaged
    _, category = np.unique(catalogue.category, return_inverse=True)
    categories = int(category.max(initial=-1)) + 1
    ordinary = engaged.scene < 0
    usual = np.bincount(category[engaged.row[ordinary]], minlength=categories) + 1.0
    usual = usual / usual.sum()
    lifts = np.zeros((categories, SCENE_SLOTS), np.float32)
    for slot in range(SCENE_SLOTS):
        demand = np.bincount(category[engaged.row[engaged.scene == slot]], minlength=categories)
        share = (demand + PRIOR_DEMAND * usual) / (demand.sum() + PRIOR_DEMAND)
        lifts[:, slot] = np.log(share / usual)
    return lifts[category]


def repeats(catalogue: Catalogue, events: Events, at: float) -> tuple[Floats, Floats, Floats]:
    """After how many seconds users come back to an item, which share of them does, and the same share of all items of
    its category: [N] each. Purchases count (and what else consumes an item), or all events where there are none.

    An item's share is of those users whose first time lies longer ago than the item's interval.
    """
    engaged = events.take((events.kind != IMPRESSION) & (events.user >= 0))
    if (consumed := CONSUMES[engaged.kind]).any():
        engaged = engaged.take(consumed)
    items = len(catalogue)
    pairs = engaged.user.astype(np.int64) * items + engaged.row
    pairs, seen = occasions(pairs, np.zeros(len(pairs), np.bool_), engaged.at)
    row, gaps = pairs % max(items, 1), seen["occasions"] - 1.0
    interval, _ = _shrunk(catalogue, row, seen["last_at"] - seen["first_at"], gaps, PRIOR_GAPS, USUAL_INTERVAL_S)
    had_time = (at - seen["first_at"] >= interval[row]).astype(np.float64)
    rate, of_category = _shrunk(catalogue, row, had_time * (gaps > 0), had_time, PRIOR_USERS, 0.0)
    return interval, rate, of_category


def _shrunk(
    catalogue: Catalogue,
    row: NDArray[np.int64],
    amount: NDArray[np.float64],
    count: NDArray[np.float64],
    prior: float,
    usual: float,
) -> tuple[Floats, Floats]:
    """amount / count [pairs] of each item and of its category, [N] each: an item is credited with `prior` counts at its
    category's ratio, the category with as many at the shop's, the shop with as many at `usual`."""
    distinct, category = np.unique(catalogue.category, return_inverse=True)
    shop = (amount.sum() + prior * usual) / (count.sum() + prior)
    of_category = np.bincount(category[row], amount, len(distinct)) + prior * shop
    of_category = (of_category / (np.bincount(category[row], count, len(distinct)) + prior))[category]
    of_item = np.bincount(row, amount, len(catalogue)) + prior * of_category
    of_item = of_item / (np.bincount(row, count, len(catalogue)) + prior)
    return of_item.astype(np.float32), of_category.astype(np.float32)
