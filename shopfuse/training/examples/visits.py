"""What users did on their own: visits as lists to learn from, where no impression tells what they chose among.

What a visit engaged with is what was wanted at its first moment; the rest of such a list is what recall brings then.
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

MOST_WANTED = 16  # items of a visit that are kept, the strongest events first


def with_visits(
    log: EventLog, histories: UserHistories, since: float, most: int, seed: int
) -> tuple[EventLog, list[ImpressionList]]:
    """(the log with a request for each visit, their lists by time): of visits since then at most `most`, drawn so that
    every user counts about alike. Events that name a request belong to what that request showed."""
    events = histories.events
    own = np.flatnonzero((events.at >= since) & (events.request < 0))
    starts = np.flatnonzero(_begins(events.take(own)))
    chosen = _even(events.user[own[starts]], most, np.random.default_rng(seed))
    chosen = chosen[np.argsort(events.at[own[starts[chosen]]], kind="stable")]
    ends = np.append(starts[1:], len(own))
    visits = [own[starts[visit] : ends[visit]] for visit in chosen.tolist()]
    first = np.array([visit[0] for visit in visits], np.int64)
    before = len(log.requests)
    lists = [_list(before + place, events.take(visit)) for place, visit in enumerate(visits)]
    return replace(log, requests=_asked(log, events.take(first))), lists


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
