"""Encoded queries, the least recently used forgotten first. One release only: a new release makes a new cache."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.gateway.metrics import Metrics


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    text_embedding: NDArray[np.float32]  # [text_dim]
    query_vector: NDArray[np.float32]  # [128]


class QueryCache:
    """Keyed by the normalised query."""

    def __init__(self, size: int, metrics: Metrics) -> None:
        self._size = size
        self._kept: OrderedDict[str, EncodedQuery] = OrderedDict()
        self._hits = metrics.cache.labels("query", "hit")
        self._misses = metrics.cache.labels("query", "miss")

    def get(self, query: str) -> EncodedQuery | None:
        found = self._kept.get(query)
        if found is None:
            self._misses.inc()
            return None
        self._kept.move_to_end(query)
        self._hits.inc()
        return found

    def put(self, query: str, encoded: EncodedQuery) -> None:
        self._kept[query] = encoded
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
