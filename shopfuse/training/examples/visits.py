"""What users did on their own: visits as lists to learn from, where no impression tells what they chose among.

What the user engaged with from a visit's first moment on, in the visit and for two weeks, is what was wanted at that
moment; the rest of such a list is what recall brings then. The next visit alone says less: it may be a short one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.user_state import EVENT_WEIGHT
from shopfuse.training.data.event_log import EventLog, Events, Requests
from shopfuse.training.data.user_histories import UserHistories
from shopfuse.training.examples.impressions import ImpressionList
from shopfuse.training.examples.logged_features import NO_POSITION

MOST_WANTED = 32  # items that are kept, the strongest events first
HORIZON_S = 14 * 86400.0  # from a visit's first moment; at most half of the time that there is to learn from


def with_visits(
    log: EventLog, histories: UserHistories, since: float, most: int, seed: int
) -> tuple[EventLog, list[ImpressionList]]:
    """(the log with a request for each visit, their lists by time): of visits since then at most `most`, drawn so that
    every user counts about alike. Events that name a request belong to what that request showed."""
    own = histories.events.take((histories.events.at >= since) & (histories.events.request < 0))
    begin, end = (float(own.at.min()), float(own.at.max())) if len(own) else (since, since)
    horizon_s = min(HORIZON_S, (end - begin) / 2)
    starts = np.flatnonzero(_begins(own))
    starts = starts[own.at[starts] <= end - horizon_s]
    chosen = starts[_even(own.user[starts], most, np.random.default_rng(seed))]
    chosen = chosen[np.argsort(own.at[chosen], kind="stable")]
    before = len(log.requests)
    lists = [
        _list(before + place, own.take(_wanted(own, first, horizon_s))) for place, first in enumerate(chosen.tolist())
    ]
    return replace(log, requests=_asked(log, own.take(chosen))), lists


def _wanted(own: Events, first: int, horizon_s: float) -> NDArray[np.int64]:
    """The events of the visit that begins with `first`, and the user's own until the horizon."""
    of_user = slice(first, int(np.searchsorted(own.user, own.user[first], side="right")))
    until = np.searchsorted(own.at[of_user], own.at[first] + horizon_s, side="right")
    visit = np.argmin(np.append(own.session[of_user] == own.session[first], False))
    return np.arange(first, first + max(int(until), int(visit)))


def _begins(events: Events) -> NDArray[np.bool_]:
    """Where another visit begins, of events by user, then time."""
    begins = np.ones(len(events), np.bool_)
    begins[1:] = (np.diff(events.user) != 0) | (np.diff(events.session) != 0)
    return begins


def _even(users: NDArray[np.int32], most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Places of at most `most` visits: one of each user in random order, then a second one, and so on."""
    order = random.permutation(len(users))
    order = order[np.argsort(users[order], kind="stable")]
    of_user = users[order]
    turn = np.arange(len(order)) - np.searchsorted(of_user, of_user)
    ranked = np.lexsort((random.random(len(order)), turn))
    chosen: NDArray[np.int64] = order[ranked[:most]]
    return chosen


def _list(request: int, visit: Events) -> ImpressionList:
    """The items of a visit in the order in which they were met, each with its strongest event."""
    _, first, place = np.unique(visit.row, return_index=True, return_inverse=True)
    outcome = np.zeros(len(first), np.int8)
    by_strength = np.argsort(EVENT_WEIGHT[visit.kind], kind="stable")
    outcome[place[by_strength]] = visit.kind[by_strength]  # of several the last one stays
    strongest = np.argsort(-EVENT_WEIGHT[outcome], kind="stable")[:MOST_WANTED]
    kept = strongest[np.argsort(first[strongest])]
    return ImpressionList(request, visit.row[first[kept]], np.full(len(kept), NO_POSITION, np.int16), outcome[kept])


def _asked(log: EventLog, first: Events) -> Requests:
    """The log's requests, and one without words at each of these events."""
    requests, count = log.requests, len(first)
    scenes = [log.scenes[slot] if slot >= 0 else "" for slot in first.scene.tolist()]
    return Requests(
        ids=[*requests.ids, *[""] * count],
        at=np.concatenate([requests.at, first.at]),
        user=np.concatenate([requests.user, first.user]),
        query=[*requests.query, *[""] * count],
        device=[*requests.device, *[""] * count],
        scene=[*requests.scene, *scenes],
    )
