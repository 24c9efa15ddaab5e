"""What the shop knew of a user at a moment: the point-in-time view of histories, for replay and for the first store.

Strictly before: an event at the moment of the request itself is not yet known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.ranking.features import History
from shopfuse.ranking.repeats import Memory, remember, visits
from shopfuse.ranking.user_state import CONSUMES, MAX_HISTORY, UserState, entry_type
from shopfuse.training.data.cleaning_rules import usual_period
from shopfuse.training.data.event_log import EventLog, Events


@dataclass(frozen=True, slots=True)
class UserHistories:
    """Engaged events by user, then time."""

    events: Events  # of products
    variants: NDArray[np.int32]  # [events] the row of each event's own item
    starts: NDArray[np.int64]  # first event of each user, and the end: [users + 1]

    def span(self, user: int, at: float) -> tuple[int, int]:
        """From where up to where the user's last MAX_HISTORY events strictly before `at` lie; nowhere for user -1."""
        start, end = self._before(user, at)
        return max(start, end - MAX_HISTORY), end

    def _before(self, user: int, at: float) -> tuple[int, int]:
        """From where up to where all the user's events strictly before `at` lie."""
        if user < 0:
            return 0, 0
        start, end = int(self.starts[user]), int(self.starts[user + 1])
        return start, start + int(np.searchsorted(self.events.at[start:end], at, side="left"))

    def entries(self, user: int, at: float) -> NDArray[np.int64]:
        """The places of that span, oldest first."""
        return np.arange(*self.span(user, at))

    def history(self, user: int, at: float, item_rows: NDArray[np.void]) -> History:
        """The user's history before `at` beside the rows `item_rows` [N] of its items."""
        entries = self.entries(user, at)
        rows = self.events.row[entries]
        kinds = self.events.kind[entries].astype(np.int64)
        known, repeats, visited = self.remembered(user, at)
        memory = Memory(known, item_rows["category"][known], repeats, visited, at)
        return History(rows, self.variants[entries], item_rows[rows], kinds, self.events.at[entries], memory)

    def remembered(self, user: int, at: float) -> tuple[NDArray[np.int32], NDArray[np.void], NDArray[np.void]]:
        """What came of each item, and of all: rows [m], REPEAT [m] and REPEAT [1], from all the user's events before
        `at`."""
        start, end = self._before(user, at)
        bought, moments = CONSUMES[self.events.kind[start:end]], self.events.at[start:end]
        return *remember(self.events.row[start:end], bought, moments), visits(bought, moments)


def user_histories(events: Events, users: int, groups: NDArray[np.int32] | None = None) -> UserHistories:
    """The histories of users 0 .. users-1; events without a user belong to nobody's. With the codes of product groups
    [N] they are of products, as serving reads them: what was bought in one variant counts for the group."""
    engaged = events.engaged
    engaged = engaged.take(engaged.user >= 0)
    engaged = engaged.take(np.lexsort((engaged.at, engaged.user)))  # stable: ties keep the order of the log
    products = engaged if groups is None else engaged.of_groups(groups)
    return UserHistories(products, engaged.row, np.searchsorted(engaged.user, np.arange(users + 1)).astype(np.int64))


def user_states(log: EventLog, item_ids: list[str], at: float) -> dict[str, UserState]:
    """The state of every user who did something before `at`, for the online store."""
    histories = user_histories(log.events.before(at), len(log.users))
    events, ids = histories.events, np.array([item_id.encode() for item_id in item_ids], np.bytes_)
    kind = entry_type(max(ids.itemsize, 1))
    states = {}
    for code, user in enumerate(log.users):
        places = histories.entries(code, np.inf)
        if len(places):
            entries = np.zeros(len(places), kind)
            entries["item"], entries["event"] = ids[events.row[places]], events.kind[places]
            entries["at"] = events.at[places]
            rows, repeats, visited = histories.remembered(code, np.inf)
            states[user] = UserState(entries, ids[rows], repeats, visited)
    return states


def last_moment(events: pl.LazyFrame) -> float:
    """A moment after every event but strays from the future, in seconds; 0 where there is none."""
    moments = events.select("timestamp").collect()["timestamp"]
    if moments.is_empty():
        return 0.0
    newest = moments.filter(moments <= usual_period(moments)[1]).dt.epoch("us").max()
    return float(cast(int, newest)) / 1e6 + 1.0
