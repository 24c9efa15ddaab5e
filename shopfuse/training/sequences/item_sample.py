"""A part of the items to compare the targets of a batch with, where comparing with all of them costs too much.

The sample is the batch's own targets and items drawn evenly. An item's score is raised by -log of how likely it is to
be in the sample (the logQ correction of Bengio and Senecal, 2008), so that the sum over the sample is, on average, the
sum over all items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ItemSample:
    """Items that targets [P] are compared with: `items` [K], each raised by `correction` [K]; `places` [P] in them."""

    items: Tensor
    correction: Tensor
    places: Tensor


class ItemSampler:
    """Draws `count` of the items evenly, and adds the targets."""

    def __init__(self, train_counts: NDArray[np.int64], count: int) -> None:
        frequency = torch.from_numpy(train_counts.astype(np.float32))
        self._frequency = frequency / frequency.sum().clamp_min(1.0)  # how likely a target is to be each item, [N]
        self._count = count

    def draw(self, targets: Tensor) -> ItemSample:
        total = len(self._frequency)
        drawn = torch.randint(total, (self._count,))
        items, places = torch.unique(torch.cat([targets, drawn]), return_inverse=True)
        missed = (1 - 1 / total) ** self._count * torch.exp(-len(targets) * self._frequency[items])
        return ItemSample(items, -torch.log1p(-missed), places[: len(targets)])
