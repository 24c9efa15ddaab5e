"""Encoded queries, the least recently used forgotten first. One release only: a new release makes a new cache."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from shopfuse_gateway.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    text_embedding: NDArray[np.float32]  # [text_dim]
    query_vector: NDArray[np.float32]  # [128]


@dataclass(frozen=True, slots=True)
class EncodedImage:
    image_embedding: NDArray[np.float32]  # [image_dim]
    image_vector: NDArray[np.float32]  # [128]


Encoded = TypeVar("Encoded", EncodedQuery, EncodedImage)


def image_key(image: bytes) -> bytes:
    """What an image is kept under: the digest of its bytes, so that the cache holds no image."""
    return hashlib.sha256(image).digest()


class QueryCache(Generic[Encoded]):
    """Keyed by the normalised words, or by image_key; `name` is the cache's in the metrics."""

    def __init__(self, size: int, metrics: Metrics, name: str = "query") -> None:
        self._size = size
        self._kept: OrderedDict[str | bytes, Encoded] = OrderedDict()
        self._hits = metrics.cache.labels(name, "hit")
        self._misses = metrics.cache.labels(name, "miss")

    def get(self, query: str | bytes) -> Encoded | None:
        encoded = self._kept.get(query)
        if encoded is None:
            self._misses.inc()
            return None
        self._kept.move_to_end(query)
        self._hits.inc()
        return encoded

    def put(self, query: str | bytes, encoded: Encoded) -> None:
        self._kept[query] = encoded
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
