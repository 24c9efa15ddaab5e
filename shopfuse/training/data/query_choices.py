"""What shoppers chose after their searches: evidence of what a query means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shopfuse.recall.words.chosen_categories import NO_CHOICES, Choices
from shopfuse.recall.words.query_reading import NO_WORDS, ReadQuery
from shopfuse.training.data.event_log import Events, Requests

MAX_QUERIES = 200_000  # the most frequent ones, as they were typed


def query_choices(requests: Requests, events: Events, read: Callable[[str], ReadQuery]) -> Choices:
    """The items that were engaged with after a search, each once a request, by the words of the query as read."""
    engaged = events.engaged
    engaged = engaged.take(engaged.request >= 0)
    if len(engaged) == 0:
        return NO_CHOICES
    asked, rows = np.unique(np.stack([engaged.request, engaged.row], axis=1), axis=0).T
    queries, place = np.unique(np.array([requests.query[code] for code in asked], dtype=object), return_inverse=True)
    frequent = np.argsort(-np.bincount(place), kind="stable")[:MAX_QUERIES]
    keys = np.full(len(queries), NO_WORDS, np.uint64)
    keys[frequent] = np.array([read(query).key for query in queries[frequent]], np.uint64)
    return keys[place], rows.astype(np.int32)
