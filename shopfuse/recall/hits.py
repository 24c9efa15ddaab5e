"""The hits of a recall channel: rows and their scores, best first, in an order that never depends on chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hits:
    rows: NDArray[np.int32]  # [n], distinct
    scores: NDArray[np.float32]  # [n], descending; rows ascend where scores are equal

    def __len__(self) -> int:
        return len(self.rows)


NO_HITS = Hits(np.zeros(0, np.int32), np.zeros(0, np.float32))


def best(rows: NDArray[Any], scores: NDArray[Any], k: int) -> Hits:
    """The k best of distinct rows: by score descending, then by row ascending."""
    if k <= 0 or len(rows) == 0:
        return NO_HITS
    if len(rows) > k:
        worst_kept = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= worst_kept)
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:k]
    return Hits(rows[order].astype(np.int32), scores[order].astype(np.float32))
