"""What a precision of the text encoder costs and brings: time, likeness of vectors, and what that does to rankings.

Time is the processor time of one thread, so that neighbours on the machine do not count; precisions take turns, and
ratios are taken within a turn.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress, silent
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, padded
from shopfuse.ranking.tensors import Arrays, bucket
from shopfuse_exporters.precision.row_cosines import row_cosines

TURNS = 15
QUERIES_A_TURN = 8
DEPTH = 100  # of a ranking
FIRST = 10

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """The catalogue and the queries, both by the same encoder; [items, D] and [queries, D]."""

    items: Floats
    queries: Floats

    def rankings(self) -> NDArray[np.int64]:
        """The DEPTH items nearest to each query, best first, by exact search as the index stores them: in fp16."""
        stored = self.items.astype(np.float16).astype(np.float32)
        scores = self.queries @ stored.T  # [queries, items]
        return np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over the turns; `speed_up` is against the first model in the same turn."""

    ms: float
    speed_up: float


def encode(
    encoding: TextEncoding,
    model: OnnxModel,
    texts: Sequence[str],
    queries: Sequence[str],
    progress: Progress,
    stage: str,
) -> Encoded:
    """Texts as a build encodes them, queries as the gateway does: each alone, padded to a bucket."""
    query_vectors = [model.run(inputs)["text_embedding"] for inputs in served_queries(model, encoding.tokens(queries))]
    return Encoded(encoding.encode(texts, progress, stage), np.concatenate(query_vectors).astype(np.float32))


def served_queries(model: OnnxModel, tokens: Sequence[Sequence[int]]) -> list[Arrays]:
    """One input [1, bucket] for each query."""
    sizes = model.declaration.buckets["length"]
    return [padded([ids], bucket(len(ids), sizes)) for ids in tokens]


def likeness(reference: Encoded, other: Encoded) -> NDArray[np.float64]:
    """Cosines between the two encoders' vectors of the same items and queries."""
    pairs = ((reference.items, other.items), (reference.queries, other.queries))
    return np.concatenate([row_cosines(left, right) for left, right in pairs])


def overlap(reference: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """The mean share of the FIRST items that two rankings of each query have in common."""
    pairs = zip(reference[:, :FIRST], other[:, :FIRST], strict=True)
    return float(np.mean([len(np.intersect1d(left, right)) / len(left) for left, right in pairs]))


def megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def speeds(models: Mapping[str, OnnxModel], queries: Sequence[Arrays], progress: Progress = silent) -> dict[str, Speed]:
    """Of each model for one query with one thread; the first model is what the others are compared to."""
    turns: list[list[float]] = []  # [turns, models], ms
    for turn in range(TURNS + 1):
        chosen = [queries[(turn * QUERIES_A_TURN + place) % len(queries)] for place in range(QUERIES_A_TURN)]
        turns.append([_median_ms(model, chosen) for model in models.values()])
        progress("time queries", turn + 1, TURNS + 1)
    measured = np.array(turns[1:])  # the first one warms up
    ms, speed_up = np.median(measured, axis=0), np.median(measured[:, :1] / measured, axis=0)
    return {name: Speed(float(ms[place]), float(speed_up[place])) for place, name in enumerate(models)}


def _median_ms(model: OnnxModel, queries: Sequence[Arrays]) -> float:
    taken = []
    for inputs in queries:
        started = time.thread_time()
        model.run(inputs)
        taken.append(time.thread_time() - started)
    return float(np.median(taken)) * 1e3
