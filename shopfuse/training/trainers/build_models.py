"""From a workspace to its models: trained where there are events to learn from, fitted where there are too few.

The newest events of a shop with few choose among what learns nothing: it is served what its users had again, or what is
popular, where that orders their own visits best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.search_weights import read_search_weights
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.fusion import PLAIN
from shopfuse.ranking.tensors import TOKEN
from shopfuse.training.checkpoints.model_files import save_models
from shopfuse.training.checkpoints.shop_models import ShopModels, fitted_models
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.data.cut import cut_moment, enough_to_train
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.examples.item_inputs import encode_items, item_inputs
from shopfuse.training.fusion.ranker import LEARNED, FusionRanker
from shopfuse.training.fusion.score_level import ScoreFusion
from shopfuse.training.models.towers import ItemTower, QueryTower, UserTower
from shopfuse.training.trainers.ranker_choice import AUTO, FUSIONS, choose_untrained
from shopfuse.training.trainers.shop import (
    ShopData,
    TrainedContent,
    encode_queries,
    lists_after,
    logged_lists,
    shop_data,
    train_shop,
)
from shopfuse.training.trainers.shop_images import image_models, shop_images
from shopfuse.training.trainers.tower_losses import TowerHeads
from shopfuse.training.trainers.tower_task import Towers

EncodeTexts = Callable[[list[str]], NDArray[np.float32]]
FEWEST = 30  # lists; of fewer the method is not chosen but the usual one


def build_models(
    workspace: Workspace,
    text_vectors: NDArray[np.float32],
    encode_texts: EncodeTexts,
    *,
    seed: int = 0,
    fusion: str = "auto",
    progress: Progress = silent,
) -> ShopModels:
    """Every model of the shop but the text encoder, whose vectors of the catalogue [N, D] are given.

    `fusion`: one of ranker_choice.FUSIONS; those that learn need events.
    """
    if fusion not in FUSIONS:
        raise ShopfuseError(f"fusion {fusion!r}: expected one of {', '.join(FUSIONS)}")
    images = workspace.images().select("item_id").collect()["item_id"]
    catalogue = load_catalogue(workspace.all_items().collect(), images, workspace.settings.languages)
    log = load_event_log(workspace.events(), catalogue)
    data = shop_data(workspace, catalogue, log, text_vectors, encode_texts, seed, progress)
    if enough_to_train(log):
        models = train_shop(data, fusion)
    elif fusion in LEARNED:
        raise ShopfuseError(f"fusion {fusion!r} needs events to train on; set 'auto' or a score-level fusion")
    else:
        models = _with_images(_fitted(data, fusion), data)
    models = with_search_weights(models, read_search_weights(workspace.root))
    models = replace(models, metrics={**models.metrics, "cleaning": log.cleaning.record()})
    save_models(workspace.paths.checkpoints, models, catalogue.ids, seed)
    return models


def _fitted(data: ShopData, fusion: str) -> ShopModels:
    """Fitted models with the ranker that the newest events choose; with the usual one where these are too few."""
    models = fitted_models(data.text_vectors, data.log.scenes, PLAIN if fusion == AUTO else fusion)
    cut = cut_moment(data.log)
    data, lists = lists_after(data, cut)
    lists = [one for one in lists if one.clicked]
    if len(lists) < FEWEST:
        return models
    logged = logged_lists(data, cut, lists, encode_queries(data), _content(models, data))
    fused, metrics = choose_untrained(logged.data, logged.items, fusion)
    metrics = {**models.metrics, **metrics}
    return replace(models, fusion_ranker=fused.ranker.eval(), fusion=fused.method, tasks=fused.tasks, metrics=metrics)


def _content(models: ShopModels, data: ShopData) -> TrainedContent:
    """The fitted towers in the place of trained ones; images, which they do not read, are left out."""
    towers = Towers(
        cast(ItemTower, models.item_tower),
        cast(QueryTower, models.query_tower),
        cast(UserTower, models.user_tower),
        TowerHeads(),
        nn.Embedding(1, TOKEN),
    )
    return TrainedContent(None, towers, item_inputs(data.text_vectors, data.catalogue.attributes), {})


def with_search_weights(models: ShopModels, weights: dict[str, float]) -> ShopModels:
    """A score-level fusion takes the weights that were chosen for it; learned methods have their own."""
    fusion = models.fusion_ranker.fusion if isinstance(models.fusion_ranker, FusionRanker) else None
    if not weights or not isinstance(fusion, ScoreFusion):
        return models
    fusion.learn(weights)
    return replace(models, made_by={**models.made_by, "search_weights": weights})


def _with_images(models: ShopModels, data: ShopData) -> ShopModels:
    """Fitted models and the image encoder of the shop's images, which needs no events; as they are without any."""
    nobody = np.zeros((0, 2), np.int64)
    images = shop_images(
        data.workspace, data.catalogue, data.text_vectors, nobody, seed=data.seed, progress=data.progress
    )
    if images is None:
        return models
    inputs = item_inputs(data.text_vectors, data.catalogue.attributes, images.vectors, images.present)
    vectors, _ = encode_items(models.item_tower, inputs)
    return replace(models, **image_models(images, vectors), metrics=models.metrics | images.metrics)
