"""What a recall channel finds: rows and their scores, best first, in an order that never depends on chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Found:
    rows: NDArray[np.int32]  # [n], distinct
    scores: NDArray[np.float32]  # [n], descending; rows ascend where scores are equal

    def __len__(self) -> int:
        return len(self.rows)


NOTHING = Found(np.zeros(0, np.int32), np.zeros(0, np.float32))


def best(rows: NDArray[Any], scores: NDArray[Any], k: int) -> Found:
    """The k best of distinct rows: by score descending, then by row ascending."""
    if k <= 0 or len(rows) == 0:
        return NOTHING
    if len(rows) > k:
        worst_kept = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= worst_kept)
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:k]
    return Found(rows[order].astype(np.int32), scores[order].astype(np.float32))
