"""Plausible random inputs of a submodel, from its declaration: example inputs for the export, cases for the parity.

Values only have to lie where real ones lie (ids within their tables, masks of 0 and 1, vectors of length 1); whether
they make sense together does not matter here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN
from shopfuse.ranking.history import MAX_GAP_S
from shopfuse.ranking.tensors import ATTRIBUTE_BUCKETS, NUMPY_TYPE, Arrays, Submodel, Tensor
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse_exporters.errors import ExportError

Shape = tuple[int, ...]
Draw = Callable[[np.random.Generator, Shape], NDArray[np.generic]]

SMALLEST_VOCABULARY = 1000  # every BERT-type vocabulary has more tokens than this
LARGEST_BM25 = 30.0


def _integers(low: int, high: int) -> Draw:
    return lambda rng, shape: rng.integers(low, high, shape)


def _uniform(low: float, high: float) -> Draw:
    return lambda rng, shape: rng.uniform(low, high, shape)


def _unit(rng: np.random.Generator, shape: Shape) -> NDArray[np.generic]:
    values = rng.standard_normal(shape)
    unit: NDArray[np.generic] = values / np.linalg.norm(values, axis=-1, keepdims=True)
    return unit


def _prefix_mask(rng: np.random.Generator, shape: Shape) -> NDArray[np.generic]:
    """1 1 1 0 0: at least one position is real; the first row is full."""
    real = rng.integers(1, shape[1] + 1, (shape[0], 1))
    real[0] = shape[1]
    return np.arange(shape[1])[None, :] < real


def _suffix_mask(rng: np.random.Generator, shape: Shape) -> NDArray[np.generic]:
    """0 0 1 1 1: histories end with the newest event; the last row of several has none at all."""
    real = rng.integers(0, shape[1] + 1, (shape[0], 1))
    if shape[0] > 1:
        real[-1] = 0
    return np.arange(shape[1])[None, ::-1] < real


def _channel_scores(rng: np.random.Generator, shape: Shape) -> NDArray[np.generic]:
    scores = rng.uniform(-1.0, 1.0, shape)
    scores[..., CHANNEL_COLUMN["lexical"]] = rng.uniform(0.0, LARGEST_BM25, shape[:-1])
    return scores


_flags = _integers(0, 2)
DRAWS: dict[str, Draw] = {
    "input_ids": _integers(1, SMALLEST_VOCABULARY),
    "attention_mask": _prefix_mask,
    "pixels": _integers(0, 256),
    "text_embedding": _unit,
    "image_embedding": _unit,
    "behaviour_embedding": _unit,
    "attributes": _integers(0, ATTRIBUTE_BUCKETS),
    "presence": _flags,
    "history_vectors": _unit,
    "history_events": _integers(0, len(EVENT_CODES) + 1),
    "history_gaps": _uniform(0.0, float(np.log1p(MAX_GAP_S / 3600.0))),
    "history_mask": _suffix_mask,
    "context": _uniform(-1.0, 1.0),
    "query_vector": _unit,
    "query_present": _flags,
    "user_vector": _unit,
    "user_present": _flags,
    "item_vectors": _unit,
    "modality_vectors": _unit,
    "modality_mask": _flags,
    "channel_scores": _channel_scores,
    "channel_mask": _flags,
    "features": _uniform(-1.0, 4.0),
    "candidate_mask": _prefix_mask,
}


def is_mask(tensor: Tensor) -> bool:
    """True for tensors of 0 and 1 that say what is there."""
    return tensor.name.endswith(("mask", "presence", "_present"))


def random_inputs(declaration: Submodel, batch: int, axes: dict[str, int], rng: np.random.Generator) -> Arrays:
    """One random batch; `axes` gives the size of every dynamic axis."""
    return {tensor.name: _draw(declaration, tensor, tensor.shape(batch, axes), rng) for tensor in declaration.inputs}


def _draw(declaration: Submodel, tensor: Tensor, shape: Shape, rng: np.random.Generator) -> NDArray[np.generic]:
    draw = DRAWS.get(tensor.name)
    if draw is None:
        raise ExportError(f"{declaration.name}: no random values are declared for its input '{tensor.name}'")
    return draw(rng, shape).astype(NUMPY_TYPE[tensor.dtype])
