"""What the models are told of a user's history: the same arrays in training (many moments) and in serving (one).

A history is what happened strictly before its moment (UserState.before, UserHistories.span).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import History
from shopfuse.ranking.user_state import MAX_HISTORY

MAX_GAP_S = 30 * 86400.0  # beyond a month, longer tells no more, and training has seen little of it
_BACK = np.arange(-MAX_HISTORY, 0)  # from the end of a history


@dataclass(frozen=True, slots=True)
class PaddedHistories:
    """The histories at n moments, newest event last, padded in front."""

    rows: NDArray[np.int32]  # [n, 50] of the items, -1 pads
    events: NDArray[np.int64]  # [n, 50] user_state.EVENT_CODES, 0 pads
    gaps: NDArray[np.float32]  # [n, 50] log1p(hours before the moment), at most those of MAX_GAP_S
    mask: NDArray[np.float32]  # [n, 50]


def padded_histories(
    rows: NDArray[np.int32],
    events: NDArray[np.int8] | NDArray[np.int64],
    at: NDArray[np.float64],
    spans: NDArray[np.int64],
    now: NDArray[np.float64],
) -> PaddedHistories:
    """The histories at the moments `now` [n]; the entries of moment i are those from spans[i, 0] up to spans[i, 1].

    `rows`, `events` and `at` are of all entries [e], oldest first within a span. An entry of an unknown item (row -1)
    counts as if it had never happened.
    """
    known = (rows >= 0).nonzero()[0]
    starts, ends = known.searchsorted(spans.T)  # [n] each, now places among the known entries
    places = ends[:, None] + _BACK  # [n, 50]
    mask = places >= starts[:, None]
    entry, moment = known[places[mask]], mask.nonzero()[0]
    padded_rows = np.full(mask.shape, -1, np.int32)
    padded_events = np.zeros(mask.shape, np.int64)
    gaps = np.zeros(mask.shape, np.float32)
    padded_rows[mask] = rows[entry]
    padded_events[mask] = events[entry]
    gaps[mask] = np.log1p(np.minimum(np.maximum(now[moment] - at[entry], 0.0), MAX_GAP_S) / 3600.0)
    return PaddedHistories(padded_rows, padded_events, gaps, mask.astype(np.float32))


def history_vectors(rows: NDArray[np.int32], item_vectors: NDArray[np.float16]) -> NDArray[np.float16]:
    """The vectors [..., 128] of the items `rows` [...] among `item_vectors` [N, 128]; zeros where a row is -1."""
    known = rows >= 0
    vectors = np.zeros((*rows.shape, item_vectors.shape[1]), item_vectors.dtype)
    vectors[known] = item_vectors[rows[known]]
    return vectors


def history_tensors(history: History, item_vectors: NDArray[np.float16], now: float) -> dict[str, NDArray[np.generic]]:
    """The tensors `history_vectors`, `history_events`, `history_gaps`, `history_mask` of one moment, without a batch
    axis."""
    span = np.array([[0, len(history.rows)]])
    padded = padded_histories(history.variants, history.events, history.at, span, np.array([now]))
    return {
        "history_vectors": history_vectors(padded.rows[0], item_vectors),
        "history_events": padded.events[0],
        "history_gaps": padded.gaps[0],
        "history_mask": padded.mask[0],
    }
