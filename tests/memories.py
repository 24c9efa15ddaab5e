"""A user's memory as a test writes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.repeats import Memory, remember, visits


def memory_of(
    rows: NDArray[np.int32],
    bought: NDArray[np.bool_],
    at: NDArray[np.float64],
    now: float,
    categories: NDArray[np.int32] | None = None,
) -> Memory:
    """Of events [n] by time on the items `rows`; `categories` [items] are of one category each unless given."""
    known, repeats = remember(rows, bought, at)
    codes = np.ones(len(known), np.int32) if categories is None else categories[known]
    return Memory(known, codes, repeats, visits(bought, at), now)
