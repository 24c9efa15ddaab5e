"""An item's row in the feature store, from the catalogue and the events before one moment.

Rates count an impression by how often its slot is clicked at all (clicks over expected clicks, COEC): an item shown at
the bottom of lists is not a bad item. All counts are shrunk towards the shop's average.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.ranking.features import ITEM_ROW, SCENE_SLOTS
from shopfuse.ranking.user_state import EVENT_CODES, EVENT_WEIGHT
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import IMPRESSION, Events

POPULARITY_HALF_LIFE_S = 14 * 86400.0
PRIOR_CLICKS = 2.0  # expected clicks that an item without impressions is credited with
PRIOR_FOLLOWERS = 5.0  # clicks that an item without clicks is credited with, for cart and purchase rates
PRIOR_DEMAND = 50.0  # engaged events that a category is credited with, for scene lifts
_SLOTS = 64  # list positions told apart


def item_rows_at(catalogue: Catalogue, events: Events, at: float) -> NDArray[np.void]:
    """ITEM_ROW [N] as known at `at`: later events, and those of that very moment, play no part."""
    events = events.before(at)
    rows = np.zeros(len(catalogue), ITEM_ROW)
    rows["price"] = catalogue.price
    rows["price_percentile"] = price_percentiles(catalogue)
    rows["popularity"] = popularity(events, len(catalogue), at)
    rows["click_rate"], rows["cart_rate"], rows["purchase_rate"] = engagement_rates(events, len(catalogue))
    rows["published_at"] = catalogue.published_at
    rows["has_image"] = catalogue.has_image
    rows["available"] = catalogue.available
    rows["brand"], rows["category"], rows["parent"] = catalogue.brand, catalogue.category, catalogue.parent
    rows["scene_lift"] = scene_lifts(catalogue, events)
    rows["updated_at"] = at
    return rows


def price_percentiles(catalogue: Catalogue) -> NDArray[np.float32]:
    """The rank of each price within its leaf category, 0..1; 0.5 where the price is unknown or alone."""
    frame = pl.DataFrame({"category": catalogue.category, "price": catalogue.price}).with_columns(
        pl.col("price").fill_nan(None)
    )
    rank = pl.col("price").rank("average").over("category")
    count = pl.col("price").count().over("category")
    shares = frame.select(((rank - 1) / (count - 1)).alias("share"))["share"]
    return shares.fill_nan(0.5).fill_null(0.5).to_numpy().astype(np.float32)


def popularity(events: Events, items: int, at: float) -> NDArray[np.float32]:
    """Recent engagement on a log scale, as a share of the most popular item's: [N], 0..1."""
    engaged = events.engaged
    weight = EVENT_WEIGHT[engaged.kind] * np.exp2(np.minimum(engaged.at - at, 0.0) / POPULARITY_HALF_LIFE_S)
    score = np.log1p(np.bincount(engaged.row, weights=weight, minlength=items))
    shares: NDArray[np.float32] = (score / max(float(score.max(initial=0.0)), 1e-9)).astype(np.float32)
    return shares


def engagement_rates(
    events: Events, items: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Smoothed (clicks / impressions, carts / clicks, purchases / clicks), [N] each."""
    impressions = events.take(events.kind == IMPRESSION)
    clicked = events.take(events.kind == EVENT_CODES["select_item"])
    slot = np.clip(impressions.position, 0, _SLOTS - 1)
    impressions_in_slot = np.bincount(slot, minlength=_SLOTS)
    clicked_in_slot = np.bincount(np.clip(clicked.position, 0, _SLOTS - 1), minlength=_SLOTS)
    usual = len(clicked.at) / max(len(impressions), 1)
    slot_rate = (clicked_in_slot + 50 * usual) / (impressions_in_slot + 50)
    expected = np.bincount(impressions.row, weights=slot_rate[slot], minlength=items)
    clicks = np.bincount(clicked.row, minlength=items)
    click_rate = usual * (clicks + PRIOR_CLICKS) / (expected + PRIOR_CLICKS)
    follow = [_follow_rate(events, kind, clicks) for kind in ("add_to_cart", "purchase")]
    return click_rate.astype(np.float32), follow[0], follow[1]


def _follow_rate(events: Events, kind: str, clicks: NDArray[np.int64]) -> NDArray[np.float32]:
    followed = np.bincount(events.row[events.kind == EVENT_CODES[kind]], minlength=len(clicks))
    usual = followed.sum() / max(int(clicks.sum()), 1)
    rate: NDArray[np.float32] = ((followed + PRIOR_FOLLOWERS * usual) / (clicks + PRIOR_FOLLOWERS)).astype(np.float32)
    return rate


def scene_lifts(catalogue: Catalogue, events: Events) -> NDArray[np.float32]:
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
