"""What a request brings to recall, and what of it a channel needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import History
from shopfuse.ranking.repeats import NO_MEMORY, Memory

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class RecallQuery:
    """Empty or None is what a request has not.

    Without slots: several channels ask for the newest items.
    """

    query: str = ""  # normalised
    text_embedding: Vector | None = None  # [text_dim]
    behaviour_vector: Vector | None = None  # [128], of the user or, in a search, of the query
    history_rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))  # [h], -1 where unknown
    history_weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))  # [h], summing to 1
    image_embedding: Vector | None = None  # [image_dim], of the query's image or of the item's own
    memory: Memory = NO_MEMORY  # of the user, over all time
    as_typed: bool = False  # the words are neither corrected nor completed

    @classmethod
    def of_user(
        cls,
        history: History,
        query: str = "",
        text_embedding: Vector | None = None,
        behaviour_vector: Vector | None = None,
        image_embedding: Vector | None = None,
        as_typed: bool = False,
    ) -> RecallQuery:
        """What a user with this history asks for. Vectors of zeros say nothing: they are absent."""
        past = history.rows, history.weights()
        text, behaviour = said(text_embedding), said(behaviour_vector)
        return cls(query, text, behaviour, *past, image_embedding, history.memory, as_typed)

    @cached_property
    def newest_rows(self) -> NDArray[np.int32]:
        """The history's distinct known items, by the newest event of each, the newest first."""
        newest_first = self.history_rows[::-1]
        known = newest_first[newest_first >= 0]
        _, first = np.unique(known, return_index=True)
        newest: NDArray[np.int32] = known[np.sort(first)]
        return newest


def said(vector: Vector | None) -> Vector | None:
    """The vector; None for zeros, which stand for what an encoder does not know."""
    return vector if vector is not None and vector.any() else None


@dataclass(frozen=True, slots=True)
class Need:
    """A part of a query that a channel cannot do without."""

    present: Callable[[RecallQuery], bool]
    without: Callable[[RecallQuery], RecallQuery]  # the query less this part


WORDS = Need(lambda query: bool(query.query), lambda query: replace(query, query=""))
TEXT_EMBEDDING = Need(lambda query: query.text_embedding is not None, lambda query: replace(query, text_embedding=None))
IMAGE_EMBEDDING = Need(
    lambda query: query.image_embedding is not None, lambda query: replace(query, image_embedding=None)
)
BEHAVIOUR_VECTOR = Need(
    lambda query: query.behaviour_vector is not None, lambda query: replace(query, behaviour_vector=None)
)
HISTORY = Need(
    lambda query: len(query.newest_rows) > 0,
    lambda query: replace(query, history_rows=query.history_rows[:0], history_weights=query.history_weights[:0]),
)
MEMORY = Need(lambda query: len(query.memory.rows) > 0, lambda query: replace(query, memory=NO_MEMORY))
