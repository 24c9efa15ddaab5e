"""The feature table: every number the ranker sees beside vectors and channel scores, declared once.

`candidate_features` and `context_features` are the only code that computes them, in training and in serving.
Nothing here reads a store: callers bring the item rows and the user's state.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.repeat_features import SPANS, Column, repeat_columns
from shopfuse.ranking.repeats import DAY_S, NO_MEMORY, USUAL_INTERVAL_S, Memory
from shopfuse.ranking.user_state import EVENT_WEIGHT, MAX_HISTORY

SCENE_SLOTS = 4

# An item's row in the feature store: fixed width, so that 200 candidates are one read and one np.frombuffer.
ITEM_ROW = np.dtype(
    [
        ("price", "f4"),  # NaN where unknown
        ("price_percentile", "f4"),  # within the leaf category, 0..1; 0.5 where unknown
        ("popularity", "f4"),  # log share of recent engagement, 0..1
        ("click_rate", "f4"),  # smoothed clicks / impressions
        ("cart_rate", "f4"),  # smoothed carts / clicks
        ("purchase_rate", "f4"),  # smoothed purchases / clicks
        ("published_at", "f8"),  # seconds since the epoch, NaN where unknown
        ("has_image", "f4"),
        ("available", "f4"),
        ("brand", "i4"),  # text_code of the brand, 0 where none
        ("category", "i4"),  # text_code of the whole path
        ("parent", "i4"),  # text_code of the path without its leaf
        ("scene_lift", "f4", (SCENE_SLOTS,)),  # log of the category's demand in the scene over its usual demand
        ("repeat_interval", "f4"),  # seconds after which users come back to the item, smoothed
        ("repeat_rate", "f4"),  # share of its users who came back, of those who had the time to, smoothed
        ("category_repeat_rate", "f4"),  # the same of all items of the category
        ("updated_at", "f8"),
    ]
)


FEATURES = (
    "log_price",
    "price_known",
    "price_percentile",
    "popularity",
    "click_rate",
    "cart_rate",
    "purchase_rate",
    "freshness",
    "has_image",
    "available",
    "brand_affinity",
    "category_affinity",
    "parent_affinity",
    "price_gap",
    "in_history",
    "purchased_before",
    "scene_lift",
    "repeat_interval",
    "repeat_rate",
    "category_repeat_rate",
    *(f"had_{span}" for span in SPANS),  # how often the user had the item, fading by each half-life
    "had_times",
    "had_share",  # of the user's visits
    "had_since",  # log of the days
    "had_interval",  # log of the days after which the user usually comes back to it
    "had_due",  # log of the time since then over the user's usual interval
    "category_had",
    "category_since",
    "visits",
    "visit_since",
    "visit_size",  # items on a visit
    "repeat_share",  # of all times that the user had an item, those after the first
)
DEVICES = ("desktop", "mobile", "app")
CONTEXT_FEATURES = (
    "is_search",
    "query_words",
    "history_length",
    "hour_sin",
    "hour_cos",
    "weekend",
    *(f"device_{device}" for device in DEVICES),
    *(f"scene_{slot}" for slot in range(SCENE_SLOTS)),
)

_IS_SEARCH, _QUERY_WORDS, _HISTORY_LENGTH, _HOUR_SIN, _HOUR_COS, _WEEKEND = range(6)  # columns of CONTEXT_FEATURES
_DEVICES = slice(6, 6 + len(DEVICES))
_SCENES = slice(_DEVICES.stop, _DEVICES.stop + SCENE_SLOTS)

AFFINITY_HALF_LIFE_S = 7 * 86400.0
FRESHNESS_S = 30 * 86400.0
OF_ITEMS = ("brand", "category", "parent")  # codes in an ITEM_ROW
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday (Monday = 0)


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a request. `at` is seconds since the epoch; `scene` is "" on an ordinary day."""

    at: float
    scene: str = ""
    device: str = ""
    query_words: int = 0
    query_image: bool = False

    @property
    def is_search(self) -> bool:
        return self.query_words > 0 or self.query_image


@dataclass(frozen=True, slots=True)
class History:
    """A user's history beside the items it speaks of, oldest first: arrays of one length h <= 50; and their memory.

    It is of products: `rows` are those of product groups. Only `variants` tells which one it was.
    """

    rows: NDArray[np.int32]  # the product's row in the release, -1 where unknown
    variants: NDArray[np.int32]  # the item's own row
    items: NDArray[np.void]  # ITEM_ROW
    events: NDArray[np.int64]  # user_state.EVENT_CODES
    at: NDArray[np.float64]
    memory: Memory = NO_MEMORY  # of the items of the release, over all time

    def weights(self) -> NDArray[np.float32]:
        """Event weight times recency (half-life one week), summing to 1 where there is a history.

        Ages count from the newest event: after a year away a user still likes what they liked.
        """
        age = self.at.max(initial=0.0) - self.at
        weight = EVENT_WEIGHT[self.events] * np.exp2(-age / AFFINITY_HALF_LIFE_S)
        shares: NDArray[np.float32] = (weight / max(float(weight.sum()), 1e-9)).astype(np.float32)
        return shares


NO_ROWS: NDArray[np.int32] = np.zeros(0, np.int32)
NO_HISTORY = History(NO_ROWS, NO_ROWS, np.zeros(0, ITEM_ROW), np.zeros(0, np.int64), np.zeros(0, np.float64))


def text_code(text: str) -> int:
    """A stable positive 31-bit code of a name; 0 only for the empty name."""
    folded = text.strip().casefold()
    return (zlib.crc32(folded.encode()) & 0x7FFFFFFF) or 1 if folded else 0


def missing_item_row() -> NDArray[Any]:
    """The row that stands in for an item the store does not know: every feature at its neutral value."""
    row = np.zeros(1, dtype=ITEM_ROW)
    row["price"], row["published_at"], row["price_percentile"], row["available"] = np.nan, np.nan, 0.5, 1.0
    row["repeat_interval"] = USUAL_INTERVAL_S
    return row


def _affinities(
    items: NDArray[np.void], history: NDArray[np.void], weight: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    """For each of OF_ITEMS and each candidate, the weight of the history entries with the same code, [c]; code 0
    matches nothing."""
    own, past = (np.stack([rows[name] for name in OF_ITEMS]) for rows in (items, history))
    same = (own[:, :, None] == past[:, None, :]) & (own[:, :, None] != 0)
    return tuple(same.astype(np.float32) @ weight)


def _price_gap(log_price: NDArray[np.float32], history: History, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    known = np.isfinite(history.items["price"]) & (history.items["price"] > 0)
    if not known.any():
        return np.zeros_like(log_price)
    shares = weight[known] + np.float32(1e-9)
    usual = float(np.log(history.items["price"][known]) @ shares) / float(shares.sum())
    gap: NDArray[np.float32] = np.where(log_price > 0, np.abs(log_price - usual), 0.0).astype(np.float32)
    return gap


def candidate_features(
    rows: NDArray[np.int32], items: NDArray[np.void], history: History, context: Context, scenes: tuple[str, ...]
) -> NDArray[np.float32]:
    """Features of candidates, [c, len(FEATURES)], always finite.

    `rows` [c] are the candidates' rows in the release (-1 where unknown), `items` [c] their ITEM_ROWs, `scenes` the
    release's scene vocabulary in slot order.
    """
    weight = history.weights()
    price = items["price"]
    known = np.isfinite(price) & (price > 0)
    log_price = np.log(np.where(known, price, 1.0)).astype(np.float32)
    age = np.maximum(context.at - items["published_at"], 0.0)
    same_item = (rows[:, None] == history.rows[None, :]) & (rows[:, None] >= 0)
    slot = scenes.index(context.scene) if context.scene in scenes else -1
    of_brand, of_category, of_parent = _affinities(items, history.items, weight)
    columns: dict[str, Column] = {
        "log_price": log_price,
        "price_known": known,
        "price_percentile": items["price_percentile"],
        "popularity": items["popularity"],
        "click_rate": items["click_rate"],
        "cart_rate": items["cart_rate"],
        "purchase_rate": items["purchase_rate"],
        "freshness": np.where(np.isfinite(age), np.exp(-age / FRESHNESS_S), 0.0),
        "has_image": items["has_image"],
        "available": items["available"],
        "brand_affinity": of_brand,
        "category_affinity": of_category,
        "parent_affinity": of_parent,
        "price_gap": _price_gap(log_price, history, weight),
        "in_history": np.log1p(same_item.sum(1)),
        "scene_lift": items["scene_lift"][:, slot] if slot >= 0 else 0.0,
        **repeat_columns(rows, items, history.memory, context.at),
    }
    table = np.empty((len(FEATURES), len(rows)), np.float32)
    for place, name in enumerate(FEATURES):
        table[place] = columns[name]
    table[~np.isfinite(table)] = 0.0
    return np.ascontiguousarray(table.T)


def context_features(context: Context, history_length: int, scenes: tuple[str, ...]) -> NDArray[np.float32]:
    """Features of the request, [len(CONTEXT_FEATURES)]."""
    slot = scenes.index(context.scene) if context.scene in scenes else -1
    moments, lengths, slots = np.array([context.at]), np.array([history_length]), np.array([slot])
    features: NDArray[np.float32] = moment_features(moments, lengths, slots)[0]
    features[_IS_SEARCH], features[_QUERY_WORDS] = context.is_search, min(context.query_words, 16) / 16
    features[_DEVICES] = [context.device == device for device in DEVICES]
    return features


def moment_features(
    at: NDArray[np.float64], history_lengths: NDArray[np.integer[Any]], scene_slots: NDArray[np.integer[Any]]
) -> NDArray[np.float32]:
    """context_features at many moments [n] without a query, on an unknown device: [n, len(CONTEXT_FEATURES)].

    A scene slot of -1 is an ordinary day.
    """
    features = np.zeros((len(at), len(CONTEXT_FEATURES)), np.float32)
    day, second = np.divmod(at, DAY_S)
    hour = 2 * np.pi * second / DAY_S
    features[:, _HISTORY_LENGTH] = np.minimum(history_lengths, MAX_HISTORY) / MAX_HISTORY
    features[:, _HOUR_SIN], features[:, _HOUR_COS] = np.sin(hour), np.cos(hour)
    features[:, _WEEKEND] = (day + EPOCH_WEEKDAY) % 7 >= 5
    features[:, _SCENES] = scene_slots[:, None] == np.arange(SCENE_SLOTS)
    return features


def schema_hash(scenes: tuple[str, ...], channels: tuple[str, ...]) -> str:
    """The hash that binds a model to the features it was trained on."""
    declared = {
        "features": FEATURES,
        "context": CONTEXT_FEATURES,
        "channels": channels,
        "item_row": [list(map(str, field)) for field in ITEM_ROW.descr],
        "scenes": scenes,
    }
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()
