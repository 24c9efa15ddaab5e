"""The moment that parts a shop's events: older ones train the towers, newer ones the rankers."""

from __future__ import annotations

import numpy as np

from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.data.event_log import EventLog, Events

TOWER_SHARE = 0.8  # of the events, the oldest
MIN_ENGAGED = 1_000  # events of known users, below which towers stay fitted


def clicks_of(events: Events) -> Events:
    """Clicks that name their request."""
    return events.take((events.kind == EVENT_CODES["select_item"]) & (events.request >= 0))


def enough_to_train(log: EventLog) -> bool:
    """Whether there are events to learn from, and a moment that parts the older from the newer ones."""
    engaged = log.events.engaged
    return int((engaged.user >= 0).sum()) >= MIN_ENGAGED and cut_moment(log) < np.inf


def cut_moment(log: EventLog) -> float:
    """The moment that parts the events for the towers from those for the ranker; clicks on what was shown decide where
    there are enough. At most 1 - TOWER_SHARE of them are not before it; inf where all are of one moment."""
    clicks, engaged = clicks_of(log.events), log.events.engaged
    at = clicks.at if len(clicks) >= MIN_ENGAGED else engaged.at
    place = int(TOWER_SHARE * len(at))
    if place == 0:
        return np.inf
    if at[place] == at[place - 1]:
        place = int(np.searchsorted(at, at[place], side="right"))
    return float(at[place]) if place < len(at) else np.inf
