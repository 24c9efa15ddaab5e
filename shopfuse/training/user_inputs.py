"""The user tower's inputs for many moments at once: ranking.history.history_tensors over a whole log.

The same arrays as one call of it for each moment would give; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import CONTEXT_FEATURES, Context, context_features
from shopfuse.ranking.tensors import HISTORY
from shopfuse.training.event_log import Requests
from shopfuse.training.user_histories import UserHistories


@dataclass(frozen=True, slots=True)
class UserInputs:
    """For n moments: the rows of the history's items, newest last (-1 pads), and the tower's other inputs."""

    rows: NDArray[np.int32]  # [n, 50]
    events: NDArray[np.int64]  # [n, 50]
    gaps: NDArray[np.float32]  # [n, 50]
    mask: NDArray[np.float32]  # [n, 50]
    context: NDArray[np.float32]  # [n, CONTEXT_FEATURES]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: NDArray[np.generic]) -> UserInputs:
        return UserInputs(
            self.rows[chosen], self.events[chosen], self.gaps[chosen], self.mask[chosen], self.context[chosen]
        )


def request_context(requests: Requests, code: int) -> Context:
    """The circumstances of a logged request, as the gateway would have seen them."""
    query = requests.query[code]
    return Context(float(requests.at[code]), requests.scene[code], requests.device[code], len(query.split()))


def user_inputs(
    histories: UserHistories, requests: Requests, codes: NDArray[np.int32], scenes: tuple[str, ...]
) -> UserInputs:
    """What the user tower would have been given at the requests `codes` [n]."""
    users, at = requests.user[codes], requests.at[codes]
    ends = np.array([_end(histories, user, moment) for user, moment in zip(users, at, strict=True)], np.int64)
    starts = np.where(users >= 0, histories.starts[users], ends)
    places = ends[:, None] - HISTORY + np.arange(HISTORY)  # [n, 50]
    known = places >= starts[:, None]
    places = np.where(known, places, 0)
    events = histories.events
    hours = np.maximum(at[:, None] - _pick(events.at, places), 0.0) / 3600.0
    lengths = known.sum(1)
    contexts = [
        context_features(request_context(requests, code), int(length), scenes)
        for code, length in zip(codes.tolist(), lengths, strict=True)
    ]
    return UserInputs(
        rows=np.where(known, _pick(events.row, places), -1).astype(np.int32),
        events=np.where(known, _pick(events.kind, places), 0).astype(np.int64),
        gaps=np.where(known, np.log1p(hours), 0.0).astype(np.float32),
        mask=known.astype(np.float32),
        context=np.stack(contexts) if contexts else np.zeros((0, len(CONTEXT_FEATURES)), np.float32),
    )


def _pick(values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    return values[places] if len(values) else np.zeros(places.shape, values.dtype)


def _end(histories: UserHistories, user: int, at: float) -> int:
    """The place past the user's last event strictly before `at`."""
    if user < 0:
        return 0
    start, end = int(histories.starts[user]), int(histories.starts[user + 1])
    return start + int(np.searchsorted(histories.events.at[start:end], at, side="left"))
