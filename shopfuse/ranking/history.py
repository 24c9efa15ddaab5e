"""The user tower's inputs from a user's history: the same arrays in training and in serving."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import History
from shopfuse.ranking.tensors import HISTORY, VECTOR

MAX_GAP_S = 30 * 86400.0  # beyond a month, longer tells no more, and training has seen little of it


def history_tensors(history: History, vectors: NDArray[np.float16], now: float) -> dict[str, NDArray[np.generic]]:
    """The tensors `history_vectors`, `history_events`, `history_gaps`, `history_mask`, without a batch axis.

    `vectors` [h, 128] are the items' vectors (zeros where the item is unknown: such entries are masked out). The newest
    event comes last; gaps are log1p(hours before `now`), at most those of MAX_GAP_S.
    """
    known = history.rows >= 0
    count = int(known.sum())
    tensors: dict[str, NDArray[np.generic]] = {
        "history_vectors": np.zeros((HISTORY, VECTOR), np.float16),
        "history_events": np.zeros(HISTORY, np.int64),
        "history_gaps": np.zeros(HISTORY, np.float32),
        "history_mask": np.zeros(HISTORY, np.float32),
    }
    if count:
        hours = np.clip(now - history.at[known], 0.0, MAX_GAP_S) / 3600.0
        tensors["history_vectors"][-count:] = vectors[known]
        tensors["history_events"][-count:] = history.events[known]
        tensors["history_gaps"][-count:] = np.log1p(hours)
        tensors["history_mask"][-count:] = 1.0
    return tensors
