"""Requests for similar items, which no log of a young shop holds, made from replayed recommendations.

What a shopper looked at shortly before stands for the item that they want others like; the list shown then stands for
the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from shopfuse.training.data.event_log import Requests
from shopfuse.training.data.user_histories import UserHistories
from shopfuse.training.examples.impressions import Shown

RECENT_S = 1800.0
NO_SEED = -1


def with_similar(lists: Sequence[Shown], requests: Requests, histories: UserHistories) -> list[tuple[Shown, int]]:
    """Every list with NO_SEED, and each recommendation that follows a recent item once more with that item's row."""
    replayed = []
    for shown in lists:
        replayed.append((shown, NO_SEED))
        seed = _recent_item(shown, requests, histories)
        if not requests.query[shown.request] and seed != NO_SEED and seed not in shown.rows:
            replayed.append((shown, seed))
    return replayed


def _recent_item(shown: Shown, requests: Requests, histories: UserHistories) -> int:
    """The row of the shopper's newest item before the request, NO_SEED where it is older than RECENT_S."""
    at = float(requests.at[shown.request])
    entries = histories.entries(int(requests.user[shown.request]), at)
    if len(entries) == 0 or at - histories.events.at[entries[-1]] > RECENT_S:
        return NO_SEED
    return int(histories.events.row[entries[-1]])
