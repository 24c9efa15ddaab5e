"""A user's events beside what the release and the store know of their items."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import NO_HISTORY, History
from shopfuse.ranking.repeats import Memory, added_up
from shopfuse.ranking.user_state import UserState
from shopfuse.recall.item_table import ItemTable

# A store's items: ids -> (ITEM_ROW [n], present [n]).
ReadItems = Callable[[Sequence[bytes]], tuple[NDArray[np.void], NDArray[np.bool_]]]


def user_history(user: UserState, items: ItemTable, read_items: ReadItems, at: float) -> History:
    """The history of a user as features and recall see it at a moment. Raises what `read_items` raises.

    It is of products: a variant counts as its group, under the group's row, and looks as it does itself.
    """
    if not user.present:
        return NO_HISTORY
    entries, ids = user.entries, user.item_ids
    variants = items.rows(np.concatenate([ids, user.repeated]))
    rows = items.groups.of_rows(variants)
    if items.groups.present:
        ids = np.where(rows[: len(ids)] >= 0, items.ids[rows[: len(ids)]], ids)
    item_rows, _ = read_items(ids.tolist())
    memory = _memory(user, rows[len(entries) :], items, at)
    events, moments = entries["event"].astype(np.int64), entries["at"].astype(np.float64)
    return History(rows[: len(entries)], variants[: len(entries)], item_rows, events, moments, memory)


def _memory(user: UserState, rows: NDArray[np.int32], items: ItemTable, at: float) -> Memory:
    """What is remembered of the items that the release knows: its rows ascend as its ids do."""
    known, repeats = rows[rows >= 0], user.repeats[rows >= 0]
    if items.groups.present:
        known, repeats = added_up(known, repeats)
    return Memory(known, items.category[known], repeats, user.visits, at)
