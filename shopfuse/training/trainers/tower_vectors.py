"""Queries and users through the towers, many at once, in the types in which serving sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shopfuse.ranking.history import history_vectors
from shopfuse.ranking.tensors import VECTOR
from shopfuse.training.distributed.devices import device_of
from shopfuse.training.examples.user_inputs import UserInputs

_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Queries:
    """Text embeddings [n, D] of distinct queries; `row` finds them."""

    row: dict[str, int]
    vectors: NDArray[np.float32]

    def of(self, queries: list[str]) -> NDArray[np.float32]:
        """One embedding for each query, zeros where there is none."""
        embeddings = np.zeros((len(queries), self.vectors.shape[1]), np.float32)
        for place, query in enumerate(queries):
            if query in self.row:
                embeddings[place] = self.vectors[self.row[query]]
        return embeddings


@torch.no_grad()
def query_vectors(tower: nn.Module, text_embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, 128]; zeros where the embedding is all zeros: no query."""
    vectors: NDArray[np.float32] = tower(torch.from_numpy(text_embeddings).to(device_of(tower))).cpu().numpy()
    present: NDArray[np.float32] = vectors * text_embeddings.any(1, keepdims=True)
    return present


@torch.no_grad()
def user_vectors(tower: nn.Module, inputs: UserInputs, item_vectors: NDArray[np.float16]) -> NDArray[np.float32]:
    """[n, 128] from the released item vectors; zeros for users without a history."""
    blocks, device = [np.zeros((0, VECTOR), np.float32)], device_of(tower)
    for start in range(0, len(inputs), _BLOCK):
        part = inputs.take(np.arange(start, min(start + _BLOCK, len(inputs))))
        history = history_vectors(part.rows, item_vectors)
        arrays = (history, part.events, part.gaps, part.mask, part.context)
        vectors = tower(*(torch.from_numpy(array).to(device) for array in arrays)).cpu().numpy()
        blocks.append(vectors * part.mask.any(1, keepdims=True))
    return np.concatenate(blocks)
