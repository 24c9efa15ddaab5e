"""Batches of training histories, with users of like length together so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.training.sequences.split import Histories

_POOL = 16  # batches whose users are sorted by length together


class HistoryBatches:
    """Every user with at least two items, once an epoch; the newest `history` + 1 items of each."""

    def __init__(self, train: Histories, history: int, padding: int, batch: int, seed: int) -> None:
        usable = train.take(np.flatnonzero(train.lengths >= 2))
        self._table = usable.padded(history + 1, padding)
        self._lengths = np.minimum(usable.lengths, history + 1)
        self._batch, self._random = batch, np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self._table) // self._batch)

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Item places [B, L], oldest first, padding behind; another order each time."""
        batches = self._chosen()
        for at in self._random.permutation(len(batches)):
            width = int(self._lengths[batches[at]].max())
            yield torch.from_numpy(self._table[batches[at], :width])

    def _chosen(self) -> list[NDArray[np.int64]]:
        order = self._random.permutation(len(self._table))
        batches = []
        for start in range(0, len(order), _POOL * self._batch):
            pool = order[start : start + _POOL * self._batch]
            pool = pool[np.argsort(self._lengths[pool], kind="stable")]
            batches += [pool[at : at + self._batch] for at in range(0, len(pool), self._batch)]
        return batches
