"""A user's events beside what the release and the store know of their items."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import NO_HISTORY, History
from shopfuse.ranking.repeats import Memory
from shopfuse.ranking.user_state import UserState
from shopfuse.recall.item_table import ItemTable

# A store's items: ids -> (ITEM_ROW [n], present [n]).
ReadItems = Callable[[Sequence[bytes]], tuple[NDArray[np.void], NDArray[np.bool_]]]


def user_history(user: UserState, items: ItemTable, read_items: ReadItems, at: float) -> History:
    """The history of a user as features and recall see it at a moment. Raises what `read_items` raises."""
    if not user.present:
        return NO_HISTORY
    entries, (item_rows, _) = user.entries, read_items(user.item_ids.tolist())
    rows = items.rows(np.concatenate([user.item_ids, user.repeated]))
    memory = _memory(user, rows[len(entries) :], items, at)
    events, moments = entries["event"].astype(np.int64), entries["at"].astype(np.float64)
    return History(rows[: len(entries)], item_rows, events, moments, memory)


def _memory(user: UserState, rows: NDArray[np.int32], items: ItemTable, at: float) -> Memory:
    """What is remembered of the items that the release knows: its rows ascend as its ids do."""
    known = rows[rows >= 0]
    return Memory(known, items.category[known], user.repeats[rows >= 0], user.visits, at)
