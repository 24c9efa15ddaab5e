"""Logged lists whose clicks follow a planted rule, so that what a ranker should learn is known."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS
from shopfuse.ranking.features import CONTEXT_FEATURES, FEATURES
from shopfuse.ranking.tensors import MODALITIES
from shopfuse.ranking.user_state import MAX_HISTORY
from shopfuse.training.data.snapshot import ItemVectors
from shopfuse.training.examples.logged_features import NO_POSITION, LoggedLists
from shopfuse.training.examples.ranker_data import RankerData
from shopfuse.training.examples.user_inputs import UserInputs

POPULARITY = FEATURES.index("popularity")
POPULAR = CHANNEL_COLUMN["popular"]
ITEMS = 50

Floats = NDArray[np.float64]
Outcome = Callable[[np.random.Generator, Floats, NDArray[np.int16]], NDArray[np.int8]]
Order = Callable[[np.random.Generator, Floats], NDArray[np.int64]]


def quality_of(rows: NDArray[np.int32]) -> Floats:
    """How wanted each item is, 0..1; the rankers see it as popularity."""
    values: Floats = np.linspace(0, 1, ITEMS)[rows]
    return values


def planted(outcome: Outcome, *, lists: int, length: int = 8, order: Order | None = None) -> RankerData:
    """`outcome` draws what comes of the items at their positions, `order` how the shop had ranked each list."""
    rng = np.random.default_rng(0)
    rows = np.stack([rng.choice(ITEMS, length, replace=False) for _ in range(lists)]).astype(np.int32)
    if order is not None:
        rows = np.take_along_axis(rows, order(rng, quality_of(rows)), 1)
    position = np.tile(np.arange(length, dtype=np.int16), (lists, 1))
    position[:, -2:] = NO_POSITION
    quality = quality_of(rows)
    features = np.zeros((lists, length, len(FEATURES)), np.float32)
    scores = np.zeros((lists, length, len(CHANNELS)), np.float32)
    features[..., POPULARITY], scores[..., POPULAR] = quality, quality
    mask = np.zeros_like(scores)
    mask[..., POPULAR] = 1.0
    code = np.arange(lists, dtype=np.int32)
    drawn = np.where(position >= 0, outcome(rng, quality, position), 0).astype(np.int8)
    every = np.ones(lists, np.float32)
    seeds = np.full(lists, -1, np.int32)
    logged = LoggedLists(code, seeds, rows, position, drawn, features, scores, mask, every, every)
    users = (rng.standard_normal((lists, 128)) / np.sqrt(128)).astype(np.float32)
    return RankerData(logged, np.zeros_like(users), users, strangers(lists))


def strangers(count: int) -> UserInputs:
    empty = np.zeros((count, MAX_HISTORY), np.float32)
    context = np.zeros((count, len(CONTEXT_FEATURES)), np.float32)
    return UserInputs(
        np.full((count, MAX_HISTORY), -1, np.int32), np.zeros((count, MAX_HISTORY), np.int64), empty, empty, context
    )


def planted_items() -> ItemVectors:
    rng = np.random.default_rng(1)
    vectors = (rng.standard_normal((ITEMS, 128)) / np.sqrt(128)).astype(np.float16)
    tokens = (rng.standard_normal((ITEMS, len(MODALITIES), 64)) / 8.0).astype(np.float16)
    return ItemVectors(vectors, tokens, np.ones((ITEMS, len(MODALITIES)), np.float32))


def popular_items_are_clicked(lists: int = 400) -> RankerData:
    """In every list something is clicked, mostly what is popular."""

    def outcome(rng: np.random.Generator, quality: Floats, position: NDArray[np.int16]) -> NDArray[np.int8]:
        clicked = (rng.random(quality.shape) < quality**4) & (position >= 0)
        clicked[:, 0] |= ~clicked.any(1)
        return clicked.astype(np.int8)

    return planted(outcome, lists=lists)
