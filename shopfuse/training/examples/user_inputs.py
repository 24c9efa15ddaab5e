"""The user tower's inputs at many logged requests: histories as ranking.history pads them, and contexts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import CONTEXT_FEATURES, Context, context_features
from shopfuse.ranking.history import padded_histories
from shopfuse.training.data.event_log import Requests
from shopfuse.training.data.user_histories import UserHistories


@dataclass(frozen=True, slots=True)
class UserInputs:
    """For n moments: ranking.history.PaddedHistories, and the contexts."""

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
    at = requests.at[codes]
    spans = [histories.span(user, moment) for user, moment in zip(requests.user[codes], at, strict=True)]
    events = histories.events
    past = padded_histories(histories.variants, events.kind, events.at, np.array(spans, np.int64).reshape(-1, 2), at)
    contexts = [
        context_features(request_context(requests, code), int(length), scenes)
        for code, length in zip(codes.tolist(), past.mask.sum(1), strict=True)
    ]
    return UserInputs(
        past.rows,
        past.events,
        past.gaps,
        past.mask,
        np.stack(contexts) if contexts else np.zeros((0, len(CONTEXT_FEATURES)), np.float32),
    )
