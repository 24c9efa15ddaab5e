"""The rows that a request may return, in the forms in which the indexes take them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.filter import ItemFilter


@dataclass(frozen=True)
class Selection:
    """`mask` decides. `wanted`, where given, is a filter that every selected row passes: an index may search by it.

    Without slots: the derived forms are computed at first use and kept for the other channels.
    """

    mask: NDArray[np.bool_]  # [items]
    wanted: ItemFilter | None = None

    def __len__(self) -> int:
        """The number of items, selected or not."""
        return len(self.mask)

    @cached_property
    def count(self) -> int:
        return int(np.count_nonzero(self.mask))

    @property
    def share(self) -> float:
        return self.count / max(len(self.mask), 1)

    @cached_property
    def rows(self) -> NDArray[np.int32]:
        return np.flatnonzero(self.mask).astype(np.int32)

    @cached_property
    def bitmap(self) -> NDArray[np.uint8]:
        """One bit a row, lowest bit first, as faiss.IDSelectorBitmap reads it."""
        return np.packbits(self.mask, bitorder="little")


def price_bound(price: float) -> np.float32:
    """A price as the indexes compare it: rounded as the prices themselves are, so that equal ones are equal."""
    largest = float(np.finfo(np.float32).max)
    return np.float32(min(max(price, -largest), largest))
