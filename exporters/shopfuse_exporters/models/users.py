"""The models that read a user's history, the user tower and the fusion ranker, exported on the shop's own users.

They are verified with the histories of a few users and with lists drawn from the catalogue; inputs that are left out
here are drawn at random by the check.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import Context, candidate_features, context_features
from shopfuse.ranking.history import history_tensors
from shopfuse.ranking.tensors import Arrays, submodels
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.user_histories import UserHistories, user_histories
from shopfuse_exporters.encoding.catalogue import EncodedItems
from shopfuse_exporters.models.exporter import ExportedModel, ModelExporter
from shopfuse_exporters.models.shop import Shop

USERS = 16
CANDIDATES = 50  # of each ranked list
SEED = 7


def export_user_models(
    exporter: ModelExporter, shop: Shop, models: ShopModels, items: EncodedItems
) -> tuple[ExportedModel, ...]:
    """The user tower and the fusion ranker. Raises ExportError or ParityError."""
    declared = submodels(items.text_vectors.shape[1], models.image_dim, models.image_size)
    histories = user_histories(shop.known, len(shop.log.users), shop.catalogue.group)
    users = _user_inputs(shop, items, histories)
    tower = exporter.export(declared["user_tower"], models.user_tower, users)
    lists = _ranker_inputs(shop, items, histories, users)
    return tower, exporter.export(declared["fusion_ranker"], models.fusion_ranker, lists)


def _user_inputs(shop: Shop, items: EncodedItems, histories: UserHistories) -> Arrays:
    """The histories of the first users; nothing where no user did anything."""
    users = range(min(USERS, len(shop.log.users)))
    rows = [_user_row(shop, items, histories, user) for user in users]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _user_row(shop: Shop, items: EncodedItems, histories: UserHistories, user: int) -> Arrays:
    history = histories.history(user, shop.at, shop.item_rows)
    tensors = history_tensors(history, items.item_vectors, shop.at)
    return {**tensors, "context": context_features(Context(shop.at), len(history.rows), shop.log.scenes)}


def _ranker_inputs(shop: Shop, items: EncodedItems, histories: UserHistories, users: Arrays) -> Arrays:
    """Lists of items drawn from the catalogue, each for one user with that user's history, or for an unknown one."""
    lists = max(1, len(users.get("context", ())))
    count = min(CANDIDATES, len(shop.catalogue))
    rng = np.random.default_rng(SEED)
    chosen = [rng.choice(len(shop.catalogue), count, replace=False).astype(np.int32) for _ in range(lists)]
    rows = np.stack(chosen)  # [lists, count]
    return {
        **{name: values for name, values in users.items() if name.startswith("history_")},
        "item_vectors": items.item_vectors[rows],
        "modality_vectors": items.modality_vectors[rows],
        "modality_mask": items.modality_mask[rows].astype(np.float32),
        "features": np.stack([_features(shop, histories, user, row) for user, row in enumerate(rows)]),
        "candidate_mask": np.ones(rows.shape, np.float32),
    }


def _features(shop: Shop, histories: UserHistories, user: int, rows: NDArray[np.int32]) -> NDArray[np.float32]:
    known = user if user < len(shop.log.users) else -1
    history = histories.history(known, shop.at, shop.item_rows)
    return candidate_features(
        shop.catalogue.group[rows], shop.item_rows[rows], history, Context(shop.at), shop.log.scenes
    )
