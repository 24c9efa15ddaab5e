"""Which items go together in the training histories: counted, not trained.

Two items belong together where the same users had them (cosine over users, shrunk for rare items), or follow each
other where one came within three steps after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.training.sequences.split import Histories

WINDOW = 50  # newest items of a history that are counted, and looked from
STEPS = 3  # how far apart two items follow each other
_SHRINK = 20.0  # of neighbour_matrix


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Item i's neighbours are `items[starts[i] : starts[i + 1]]`, how near they are in `values`."""

    items: NDArray[np.int32]
    values: NDArray[np.float32]
    starts: NDArray[np.int64]  # [N + 1]

    def reversed(self) -> Neighbours:
        """The same pairs seen from the other item."""
        owners = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        return _neighbours(self.items.astype(np.int64), owners, self.values, len(self.starts) - 1)

    def scores(self, histories: Histories, decay: float) -> NDArray[np.float32]:
        """Sum over each user's newest WINDOW items of decay^age * how near every item is: [U, N]."""
        users, rows, ages = histories.newest(WINDOW).flat()
        sizes = np.diff(self.starts)[rows]
        first = np.repeat(self.starts[rows] - np.cumsum(sizes) + sizes, sizes)
        places = first + np.arange(sizes.sum())
        count = len(self.starts) - 1
        cells = np.repeat(users * count, sizes) + self.items[places]
        weights = np.repeat(decay**ages, sizes) * self.values[places]
        summed = np.bincount(cells, weights, minlength=len(histories) * count)
        return summed.astype(np.float32).reshape(len(histories), count)


def together(train: Histories, item_count: int, shrink: float) -> Neighbours:
    """Cosine over users, c_ij / sqrt((c_i + shrink) (c_j + shrink)), in both directions."""
    left, right, _ = _item_pairs(train, WINDOW)
    owners, others, counts = _counted(np.append(left, right), np.append(right, left), None, item_count)
    return _neighbours(owners, others, counts * _cosine(train, owners, others, item_count, shrink), item_count)


def following(train: Histories, item_count: int, shrink: float) -> Neighbours:
    """How often an item came 1 to STEPS steps after another, a step k counting 1 / k, scaled as `together`."""
    left, right, steps = _item_pairs(train, STEPS)
    owners, others, counts = _counted(left, right, 1.0 / steps, item_count)
    return _neighbours(owners, others, counts * _cosine(train, owners, others, item_count, shrink), item_count)


def neighbour_matrix(train: Histories, item_count: int) -> Tensor:
    """How near two items are, together or following in whichever order: sparse [N, N], symmetric."""
    after = following(train, item_count, _SHRINK)
    parts = (together(train, item_count, _SHRINK), after, after.reversed())
    owners = np.concatenate([np.repeat(np.arange(item_count), np.diff(near.starts)) for near in parts])
    others = np.concatenate([near.items for near in parts])
    places = torch.from_numpy(np.stack([owners, others]).astype(np.int64))
    values = torch.from_numpy(np.concatenate([near.values for near in parts]))
    return torch.sparse_coo_tensor(places, values, (item_count, item_count), check_invariants=True).coalesce()


def _item_pairs(train: Histories, reach: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(earlier item, later item, steps between them) of all pairs at most `reach` steps apart."""
    users, items, _ = train.newest(WINDOW).flat()
    items = items.astype(np.int64)
    parts = []
    for step in range(1, min(reach, WINDOW - 1) + 1):
        same = (users[step:] == users[:-step]) & (items[step:] != items[:-step])
        if len(same) == 0:
            break
        parts.append((items[:-step][same], items[step:][same], np.full(int(same.sum()), step, np.int64)))
    if not parts:
        return (np.zeros(0, np.int64),) * 3
    left, right, steps = (np.concatenate(column) for column in zip(*parts, strict=True))
    return left, right, steps


def _counted(
    owners: NDArray[np.int64], others: NDArray[np.int64], weights: NDArray[np.float64] | None, item_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Each pair once, with its summed weight."""
    pairs, inverse = np.unique(owners * item_count + others, return_inverse=True)
    counts = np.bincount(inverse, weights, minlength=len(pairs)).astype(np.float64)
    return pairs // item_count, pairs % item_count, counts


def _cosine(
    train: Histories, owners: NDArray[np.int64], others: NDArray[np.int64], item_count: int, shrink: float
) -> NDArray[np.float64]:
    seen = np.bincount(train.newest(WINDOW).flat()[1], minlength=item_count) + shrink
    scale: NDArray[np.float64] = 1.0 / np.sqrt(seen[owners] * seen[others])
    return scale


def _neighbours(
    owners: NDArray[np.int64], others: NDArray[np.int64], values: NDArray[np.floating[Any]], item_count: int
) -> Neighbours:
    order = np.lexsort((others, owners))
    starts = np.searchsorted(owners[order], np.arange(item_count + 1)).astype(np.int64)
    return Neighbours(others[order].astype(np.int32), values[order].astype(np.float32), starts)
