"""The category that a query means: "laptop" means notebooks, also where no notebook says "laptop", and not their bags.

Each category has a prototype, the middle of its items' text embeddings. A query that lies as near to a prototype as to
the nearest single item names the category; one that lies near one item only names something in it. Only the
candidates' own categories are looked at, so the cost does not grow with the shop. Categories are those of the
catalogue: none are invented for items that have none.

What shoppers chose after the query says it better, the more of them there are: prototypes count as EVIDENCE choices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.contents import IndexContents
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, Scored
from shopfuse.recall.query import TEXT_EMBEDDING, WORDS, Vector
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.recall.words.chosen_categories import (
    NO_CHOICES,
    NOTHING_CHOSEN,
    Choices,
    ChosenCategories,
    build_chosen_categories,
)
from shopfuse.recall.words.query_reading import NO_WORDS
from shopfuse.release.layout import CATEGORY_PROTOTYPES, ReleaseLayout
from shopfuse.release.manifest import ReleaseError

Floats = NDArray[np.float32]

NONE = -1
NEAR = 0.7  # of the similarity of the nearest item: where a prototype begins to count
PRIOR_ITEMS = 10.0  # a category of so many items is believed half
EVIDENCE = 10.0  # choices after a query that count as much as the prototypes
AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class CategoryIndex:
    codes: NDArray[np.int32]  # [items], the row of its category below, NONE where an item has none
    prototypes: NDArray[np.float16]  # [categories, text_dim], normalised
    sizes: NDArray[np.int32]  # [categories], items
    chosen: ChosenCategories = NOTHING_CHOSEN

    @classmethod
    def open(cls, folder: Path) -> CategoryIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        index = cls(
            open_array(folder / "codes.npy", np.int32),
            open_array(folder / CATEGORY_PROTOTYPES, np.float16, 2),
            open_array(folder / "sizes.npy", np.int32),
            ChosenCategories.open(folder),
        )
        if len(index.sizes) != len(index.prototypes):
            raise ReleaseError(f"{folder}/sizes.npy: {len(index.sizes)} rows, expected {len(index.prototypes)}")
        if len(index.codes) and int(index.codes.max()) >= len(index.sizes):
            raise ReleaseError(f"{folder}/codes.npy: a code beyond the {len(index.sizes)} categories")
        return index

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def is_empty(self) -> bool:
        """True where no item has a category."""
        return len(self.sizes) == 0

    def without_choices(self) -> CategoryIndex:
        """The same index of a shop that nobody has asked anything."""
        return replace(self, chosen=NOTHING_CHOSEN)

    def score(self, embedding: Floats, rows: NDArray[np.int32], nearest: float, key: int = NO_WORDS) -> Floats:
        """How sure it is that the query `embedding` [text_dim] means the rows' categories, 0..1: [n].

        `nearest` is the similarity of the candidate that is nearest to the query, `key` the ReadQuery's.
        """
        present, place = np.unique(self.codes[rows], return_inverse=True)
        believed = np.zeros(len(present), np.float32)
        known = present != NONE
        named = self._named(embedding, present[known], nearest)
        shares, choices = self.chosen.after(key, present[known])
        believed[known] = (EVIDENCE * named + choices * shares) / (EVIDENCE + choices)
        return believed[place]

    def _named(self, embedding: Floats, categories: NDArray[np.int32], nearest: float) -> Floats:
        if len(categories) == 0:
            return np.zeros(0, np.float32)
        similar = np.einsum("kd,d->k", self.prototypes[categories].astype(np.float32), embedding)
        best = max(nearest, float(similar.max()), 1e-6)
        named = np.clip((similar / best - NEAR) / (1.0 - NEAR), 0.0, 1.0)
        sizes = self.sizes[categories]
        believed: Floats = (named * sizes / (sizes + PRIOR_ITEMS)).astype(np.float32)
        return believed


def build_categories(
    folder: Path, categories: NDArray[np.int32], text_vectors: NDArray[Any], choices: Choices = NO_CHOICES
) -> None:
    """Writes the index of items by their category's code, [items], 0 where there is none, their text embeddings
    [items, text_dim], and what was chosen after searches."""
    distinct = np.unique(categories[categories != 0])
    codes = np.where(categories != 0, np.searchsorted(distinct, categories), NONE).astype(np.int32)
    sums = np.zeros((len(distinct), text_vectors.shape[1]))
    for start in range(0, len(codes), AT_ONCE):
        part = codes[start : start + AT_ONCE]
        vectors = text_vectors[start : start + AT_ONCE][part != NONE].astype(np.float64)
        np.add.at(sums, part[part != NONE], vectors)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    write_array(folder / "codes.npy", codes)
    write_array(folder / CATEGORY_PROTOTYPES, (sums / np.maximum(length, 1e-9)).astype(np.float16))
    write_array(folder / "sizes.npy", np.bincount(codes[codes != NONE], minlength=len(distinct)).astype(np.int32))
    build_chosen_categories(folder, choices, codes)


def _build(layout: ReleaseLayout, shop: IndexContents) -> None:
    choices = shop.choices(LEXICAL_INDEX.open(layout).read)
    build_categories(layout.categories, shop.categories, shop.text_vectors, choices)


CATEGORY_INDEX = IndexFile("categories", _build, lambda layout: CategoryIndex.open(layout.categories))


def _score(scored: Scored) -> Column | None:
    index, semantic = scored.indexes[CATEGORY_INDEX], scored["semantic"]
    if index.is_empty or semantic is None:
        return None
    nearest = float(semantic.max(initial=0.0))
    key = scored.indexes[LEXICAL_INDEX].read(scored.query.query, scored.query.as_typed).key
    return index.score(cast(Vector, scored.query.text_embedding), scored.rows, nearest, key)


CATEGORY = RecallChannel(CATEGORY_INDEX, needs=(WORDS, TEXT_EMBEDDING), score=_score)
