"""What a shop shows before anybody did anything: items by how good they look in its window, diverse over categories.

Where there are events, popularity leads, and this decides between items without any. No clock, no chance: the same
catalogue gives the same order.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import Events
from shopfuse.training.data.item_statistics import price_percentiles

Floats = NDArray[np.float64]

SHOWCASE = 0.25  # of the popular channel, the first item's without events: nobody may call it popular
SURE_USERS = 30.0  # of the most popular item: with so many, what is popular is half believed
SIZE_POWER = 0.25  # a category 16 times as large comes twice as often
EXTREME = 0.1  # share of a category's prices, at either end, that are perhaps mistakes
# What makes an item presentable, and how much each part counts.
NEW, IMAGE, PRICE, DESCRIPTION, ATTRIBUTES, BRAND = 1.0, 1.0, 1.0, 0.5, 0.5, 0.5


def popular_scores(popularity: NDArray[np.float32], events: Events, catalogue: Catalogue) -> NDArray[np.float32]:
    """What the popular channel says of each item, [N], 0..1: `popularity`, as far as there are people who made it, and
    below the least popular item those that nobody engaged with, in showcase order."""
    most = _most_users(events.engaged)
    believed = popularity.astype(np.float64) * most / (most + SURE_USERS)
    lowest = float(believed[believed > 0].min(initial=2.0 * SHOWCASE))
    places = np.empty(len(catalogue))
    places[showcase_order(catalogue)] = np.arange(len(catalogue))
    showcase = lowest / 2.0 * (1.0 - places / max(len(catalogue), 1))
    scores: NDArray[np.float32] = np.where(believed > 0, believed, showcase).astype(np.float32)
    return scores


def _most_users(engaged: Events) -> float:
    """How many people engaged with one item, at most: users, sessions where the user is unknown, else events."""
    users, sessions = (int(codes.max(initial=-1)) + 1 for codes in (engaged.user, engaged.session))
    unnamed = users + np.where(engaged.session >= 0, engaged.session, sessions + np.arange(len(engaged)))
    people = np.where(engaged.user >= 0, engaged.user, unnamed).astype(np.int64)
    items = int(engaged.row.max(initial=0)) + 1
    rows = np.unique(people * items + engaged.row) % items
    return float(np.bincount(rows, minlength=1).max())


def showcase_order(catalogue: Catalogue) -> NDArray[np.int64]:
    """Rows [N], best first: categories take turns, larger ones a little more often, each with its best items first.

    What is not available comes last.
    """
    quality = _quality(catalogue)
    _, category, sizes = np.unique(catalogue.category, return_inverse=True, return_counts=True)
    rows, gone = np.arange(len(catalogue)), ~catalogue.available
    best_first = np.lexsort((rows, -quality, gone, category))
    starts = np.cumsum(sizes) - sizes
    place = np.empty(len(rows))
    place[best_first] = rows - starts[category[best_first]]  # within the category
    turn = place / sizes[category] ** SIZE_POWER
    order: NDArray[np.int64] = np.lexsort((rows, -quality, turn, gone))
    return order


def _quality(catalogue: Catalogue) -> Floats:
    """How presentable each item is, [N]: new, well described, at a price that is no mistake."""
    frame, percentiles = catalogue.frame, price_percentiles(catalogue)
    usual_price = np.isfinite(catalogue.price) & (percentiles >= EXTREME) & (percentiles <= 1.0 - EXTREME)
    words = frame["description"].str.len_chars()
    quality: Floats = (
        NEW * _newest(catalogue.published_at)
        + IMAGE * catalogue.has_image
        + PRICE * usual_price
        + DESCRIPTION * _share_of_much(words)
        + ATTRIBUTES * _share_of_much(frame["attributes"].list.len())
        + BRAND * (catalogue.brand != 0)
    )
    return quality


def _newest(published_at: Floats) -> Floats:
    """The share of dated items that are not newer, [N], 0 where the date is unknown."""
    known = np.isfinite(published_at)
    dates = np.sort(published_at[known])
    shares = np.zeros(len(published_at))
    shares[known] = np.searchsorted(dates, published_at[known], side="right") / max(len(dates), 1)
    return shares


def _share_of_much(amounts: pl.Series) -> Floats:
    """Amounts as shares of what nine in ten items do not exceed, at most 1: [N]."""
    values = amounts.fill_null(0).to_numpy().astype(np.float64)
    much = float(np.quantile(values, 0.9)) if len(values) else 0.0
    return np.minimum(values / max(much, 1.0), 1.0)
