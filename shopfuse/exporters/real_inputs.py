"""Rows from the shop itself for the parity check: what a model will really see, beside the random inputs.

A few dozen rows each; inputs that are left out here are drawn at random by the check.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.exporters.catalogue_encoding import EncodedItems, ItemInputs
from shopfuse.exporters.sample_inputs import Arrays
from shopfuse.exporters.shop import Shop
from shopfuse.exporters.text_encoding import padded
from shopfuse.ranking.features import Context, candidate_features, context_features
from shopfuse.ranking.history import history_tensors
from shopfuse.ranking.pictures import decode_all
from shopfuse.training.user_histories import UserHistories, user_histories

ROWS = 48
USERS = 16
CANDIDATES = 50  # of each ranked list
SEED = 7


def text_inputs(tokens: Sequence[Sequence[int]]) -> Arrays:
    """The encoder's inputs for the texts with these tokens."""
    return padded(tokens)


def image_inputs(images: pl.LazyFrame, size: int) -> Arrays:
    """The first pictures; nothing where there is none."""
    pictures = images.head(ROWS).collect()["image"].to_list()
    return {"pixels": decode_all(pictures, size)} if pictures else {}


def item_tower_inputs(inputs: ItemInputs) -> Arrays:
    """The first items."""
    return inputs.batch(slice(0, ROWS))


def user_tower_inputs(shop: Shop, items: EncodedItems) -> Arrays:
    """The histories of the first users; nothing where no user did anything."""
    histories = user_histories(shop.known, len(shop.log.users))
    users = range(min(USERS, len(shop.log.users)))
    rows = [_user_row(shop, items, histories, user) for user in users]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _user_row(shop: Shop, items: EncodedItems, histories: UserHistories, user: int) -> Arrays:
    history = histories.history(user, shop.at, shop.item_rows)
    tensors = history_tensors(history, items.item_vectors, shop.at)
    return {**tensors, "context": context_features(Context(shop.at), len(history.rows), shop.log.scenes)}


def ranker_inputs(shop: Shop, items: EncodedItems, user_inputs: Arrays) -> Arrays:
    """Lists of items drawn from the catalogue, each for one user with that user's history, or for an unknown one."""
    histories = user_histories(shop.known, len(shop.log.users))
    lists = max(1, len(user_inputs.get("context", ())))
    count = min(CANDIDATES, len(shop.catalogue))
    rng = np.random.default_rng(SEED)
    chosen = [rng.choice(len(shop.catalogue), count, replace=False).astype(np.int32) for _ in range(lists)]
    rows = np.stack(chosen)  # [lists, count]
    return {
        **{name: values for name, values in user_inputs.items() if name.startswith("history_")},
        "item_vectors": items.item_vectors[rows],
        "modality_vectors": items.modality_vectors[rows],
        "modality_mask": items.modality_mask[rows].astype(np.float32),
        "features": np.stack([_features(shop, histories, user, row) for user, row in enumerate(rows)]),
        "candidate_mask": np.ones(rows.shape, np.float32),
    }


def _features(shop: Shop, histories: UserHistories, user: int, rows: NDArray[np.int32]) -> NDArray[np.float32]:
    known = user if user < len(shop.log.users) else -1
    history = histories.history(known, shop.at, shop.item_rows)
    return candidate_features(rows, shop.item_rows[rows], history, Context(shop.at), shop.log.scenes)
