"""What is known of an item beside the channels' scores: how often it was met, and how like the history it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.sequences import ItemAttributes
from shopfuse.training.sequences.split import Histories

_SKETCH = 128  # numbers that stand for an item's attributes
_DECAY = 0.8
_NEWEST = 10

FloatArray = NDArray[np.float32]
FEATURES = ("popularity", "popularity_of_newest", "history", "like_newest", "like_history", "described")


@dataclass(frozen=True, slots=True)
class ItemProfiles:
    popularity: FloatArray  # [N] log(1 + training events)
    sketches: FloatArray  # [N, 128] unit length; inner products are near the cosine of idf-weighted attributes

    def features(self, histories: Histories, items: NDArray[np.int32]) -> list[FloatArray]:
        """FEATURES of candidates [U, C], each [U, C]."""
        newest = histories.events[histories.ends - 1]
        sketches = self.sketches[items]  # [U, C, 128]
        columns = (
            self.popularity[items],
            self.popularity[newest][:, None],
            np.log1p(histories.lengths)[:, None],
            np.einsum("ucs,us->uc", sketches, self.sketches[newest]),
            np.einsum("ucs,us->uc", sketches, self._taste(histories)),
            (np.abs(sketches).sum(-1) > 0),
        )
        return [np.broadcast_to(column, items.shape).astype(np.float32) for column in columns]

    def _taste(self, histories: Histories) -> FloatArray:
        """The decayed mean of the newest items' sketches, unit length: [U, 128]."""
        users, items, ages = histories.newest(_NEWEST).flat()
        summed = np.zeros((len(histories), self.sketches.shape[1]), np.float32)
        np.add.at(summed, users, self.sketches[items] * (_DECAY**ages).astype(np.float32)[:, None])
        return _unit(summed)


def item_profiles(train_counts: NDArray[np.int64], attributes: ItemAttributes | None) -> ItemProfiles:
    items = len(train_counts)
    popularity = np.log1p(train_counts).astype(np.float32)
    if attributes is None or attributes.count == 0:
        return ItemProfiles(popularity, np.zeros((items, 1), np.float32))
    owners = np.repeat(np.arange(items), np.diff(attributes.starts))
    carried = np.bincount(attributes.ids, minlength=attributes.count)
    idf = np.log(1 + items / np.maximum(carried, 1)).astype(np.float32)
    signs = np.random.default_rng(0).choice(np.array([-1.0, 1.0], np.float32), (attributes.count, _SKETCH))
    summed = np.zeros((items, _SKETCH), np.float32)
    np.add.at(summed, owners, signs[attributes.ids] * idf[attributes.ids][:, None])
    return ItemProfiles(popularity, _unit(summed))


def _unit(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit
