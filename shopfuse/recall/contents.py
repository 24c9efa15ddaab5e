"""What the indexes of a shop are made of, as one value, so that every index file takes from it what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.visits import Sessions
from shopfuse.recall.words.chosen_categories import Choices
from shopfuse.recall.words.query_reading import ReadQuery


@dataclass(frozen=True, slots=True)
class Items:
    """Items that can be gone through again and again."""

    begin: Callable[[], Iterable[CatalogueItem]]

    def __iter__(self) -> Iterator[CatalogueItem]:
        return iter(self.begin())


Vectors = NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class IndexContents:
    """Arrays are in the order of the rows: of the items' ids."""

    items: Callable[[], Iterable[CatalogueItem]]  # from the start each time
    languages: tuple[str, ...]  # of items and queries, the main one first
    categories: NDArray[np.int32]  # [items], the category's code, 0 where there is none
    text_vectors: Vectors  # [items, text_dim]
    image_vectors: Vectors | None  # [items, image_dim], zeros where an item has no image; None without any image
    item_vectors: Vectors  # [items, 128]
    choices: Callable[[Callable[[str], ReadQuery]], Choices]  # after searches, as the shop's words read them
    sessions: Sessions
    users: Sessions  # the events of known users, by user in the place of the session, each weighing 1
    popular: NDArray[np.float32]  # [items], 0..1: recent engagement, and below it the order of a first day
    repeat_rates: NDArray[np.float32]  # [items], 0..1
    category_repeat_rates: NDArray[np.float32]  # [items], 0..1
    repeat_intervals_s: NDArray[np.float32]  # [items]
