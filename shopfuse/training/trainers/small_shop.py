"""A shop with too few events to train on: models stay fitted, and the newest events choose among what learns nothing.

So a shop of some hundred purchases is served what it had again, or what is popular, where that orders its own newest
visits best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.tensors import TOKEN
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.cut import cut_moment
from shopfuse.training.data.event_log import EventLog
from shopfuse.training.examples.item_inputs import item_inputs
from shopfuse.training.models.towers import ItemTower, QueryTower, UserTower
from shopfuse.training.trainers.ranker_choice import choose_untrained
from shopfuse.training.trainers.shop import TrainedContent, encode_queries, lists_after, logged_lists, shop_data
from shopfuse.training.trainers.tower_losses import TowerHeads
from shopfuse.training.trainers.tower_task import Towers

EncodeTexts = Callable[[list[str]], NDArray[np.float32]]
FEWEST = 30  # lists; of fewer the method is not chosen but the usual one


def choose_fitted(
    models: ShopModels,
    workspace: Workspace,
    catalogue: Catalogue,
    log: EventLog,
    text_vectors: NDArray[np.float32],
    encode_texts: EncodeTexts,
    *,
    seed: int,
    fusion: str,
    progress: Progress,
) -> ShopModels:
    """Fitted `models` with the ranker that the newest events choose; as they are where these are too few."""
    data = shop_data(workspace, catalogue, log, text_vectors, encode_texts, seed, progress)
    cut = cut_moment(log)
    data, lists = lists_after(data, cut)
    lists = [one for one in lists if one.clicked]
    if len(lists) < FEWEST:
        return models
    logged = logged_lists(data, cut, lists, encode_queries(data), _content(models, data.text_vectors, catalogue))
    fused, metrics = choose_untrained(logged.data, logged.items, fusion)
    metrics = {**models.metrics, **metrics}
    return replace(models, fusion_ranker=fused.ranker.eval(), fusion=fused.method, tasks=fused.tasks, metrics=metrics)


def _content(models: ShopModels, text_vectors: NDArray[np.float32], catalogue: Catalogue) -> TrainedContent:
    """The fitted towers in the place of trained ones; images, which they do not read, are left out."""
    towers = Towers(
        cast(ItemTower, models.item_tower),
        cast(QueryTower, models.query_tower),
        cast(UserTower, models.user_tower),
        TowerHeads(),
        nn.Embedding(1, TOKEN),
    )
    return TrainedContent(None, towers, item_inputs(text_vectors, catalogue.attributes, None, None), {})
