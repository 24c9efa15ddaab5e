"""What the towers learn from: each click, with what was known of the shopper before its request.

A click counts more where a cart or a purchase followed it within its request.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.user_state import EVENT_CODES, EVENT_WEIGHT
from shopfuse.training.data.event_log import IMPRESSION, EventLog, Events
from shopfuse.training.data.user_histories import UserHistories
from shopfuse.training.examples.user_inputs import UserInputs, user_inputs

MAX_EXAMPLES = 400_000  # the newest ones of a larger log
OTHERS = 12  # unclicked items of a list that are kept, the first ones


@dataclass(frozen=True, slots=True)
class TowerExamples:
    """[n] clicks by time. `query` is the row of the query's text embedding, -1 outside searches."""

    item: NDArray[np.int32]
    weight: NDArray[np.float32]
    query: NDArray[np.int64]
    position: NDArray[np.int16]  # slot of the click, 0 where unknown
    others: NDArray[np.int32]  # [n, OTHERS] items of the same list that were not clicked, -1 pads
    other_positions: NDArray[np.int16]  # [n, OTHERS]
    users: UserInputs

    def __len__(self) -> int:
        return len(self.item)

    def take(self, chosen: NDArray[np.generic]) -> TowerExamples:
        columns = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "users"}
        return TowerExamples(
            **{name: values[chosen] for name, values in columns.items()}, users=self.users.take(chosen)
        )


def tower_examples(log: EventLog, events: Events, histories: UserHistories, query_row: dict[str, int]) -> TowerExamples:
    """The clicks of `events` that belong to a request; `query_row` says which text embedding a query has."""
    clicks = events.take((events.kind == EVENT_CODES["select_item"]) & (events.request >= 0))
    clicks = clicks.take(np.arange(max(0, len(clicks) - MAX_EXAMPLES), len(clicks)))
    codes, inverse = np.unique(clicks.request, return_inverse=True)
    queries = np.array([query_row.get(log.requests.query[code], -1) for code in codes.tolist()], np.int64)
    inputs = user_inputs(histories, log.requests, codes.astype(np.int32), log.scenes)
    others, positions = _unclicked(events, codes)
    return TowerExamples(
        item=clicks.row,
        weight=_outcome_weight(events, clicks),
        query=queries[inverse],
        position=np.maximum(clicks.position, 0).astype(np.int16),
        others=others[inverse],
        other_positions=positions[inverse],
        users=inputs.take(inverse),
    )


def _unclicked(events: Events, codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """The first OTHERS unclicked items of the lists of the requests `codes`, and their slots: [n, OTHERS] each."""
    items = int(events.row.max(initial=0)) + 1
    impressions = events.take((events.kind == IMPRESSION) & np.isin(events.request, codes))
    engaged = events.engaged
    clicked = engaged.request.astype(np.int64) * items + engaged.row
    impressions = impressions.take(~np.isin(impressions.request.astype(np.int64) * items + impressions.row, clicked))
    impressions = impressions.take(np.lexsort((impressions.position, impressions.request)))
    place = np.arange(len(impressions)) - np.searchsorted(impressions.request, impressions.request)
    owner = np.searchsorted(codes, impressions.request)
    kept = place < OTHERS
    rows, positions = np.full((len(codes), OTHERS), -1, np.int32), np.zeros((len(codes), OTHERS), np.int16)
    rows[owner[kept], place[kept]] = impressions.row[kept]
    positions[owner[kept], place[kept]] = np.maximum(impressions.position[kept], 0)
    return rows, positions


def _outcome_weight(events: Events, clicks: Events) -> NDArray[np.float32]:
    """The weight of the strongest event of the same request and item."""
    weight = EVENT_WEIGHT[clicks.kind].copy()
    items = int(events.row.max(initial=0)) + 1
    keys = clicks.request.astype(np.int64) * items + clicks.row
    for kind in ("add_to_cart", "purchase"):
        strong = events.take((events.kind == EVENT_CODES[kind]) & (events.request >= 0))
        followed = np.isin(keys, strong.request.astype(np.int64) * items + strong.row)
        weight[followed] = EVENT_WEIGHT[EVENT_CODES[kind]]
    return weight


def class_balance(examples: TowerExamples) -> dict[str, dict[str, float]]:
    """By strongest outcome: how many clicks had it, what each counts, and the part of the whole that they make up."""
    whole = max(float(examples.weight.sum()), 1e-9)
    balance = {}
    for kind in ("select_item", "add_to_cart", "purchase"):
        weight = float(EVENT_WEIGHT[EVENT_CODES[kind]])
        count = int((examples.weight == weight).sum())
        balance[kind] = {"clicks": count, "weight": weight, "share": round(count * weight / whole, 4)}
    return balance


def log_exposure(events: Events, items: int) -> NDArray[np.float32]:
    """log of how often each item was shown (or, in a log without impressions, engaged with), smoothed: [N]."""
    impressions = events.row[events.kind == IMPRESSION]
    counted = impressions if len(impressions) else events.row
    exposure: NDArray[np.float32] = np.log(np.bincount(counted, minlength=items) + 1.0).astype(np.float32)
    return exposure
