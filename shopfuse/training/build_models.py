"""From a workspace to its models: fitted where there are no events to learn from, trained where there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.errors import ShopfuseError
from shopfuse.ranking.fusion import FUSION_METHODS
from shopfuse.ranking.progress import Progress, silent
from shopfuse.training.catalogue import load_catalogue
from shopfuse.training.event_log import load_event_log
from shopfuse.training.model_files import save_models
from shopfuse.training.shop_models import ShopModels, fitted_models
from shopfuse.training.train_shop import enough_to_train, train_shop

EncodeTexts = Callable[[list[str]], NDArray[np.float32]]

FUSIONS = ("auto", *FUSION_METHODS, "attention")
WITHOUT_EVENTS = "weighted"


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

    `fusion`: "auto", one of ranking.fusion.FUSION_METHODS, or "attention", which needs events.
    """
    if fusion not in FUSIONS:
        raise ShopfuseError(f"fusion {fusion!r}: expected one of {', '.join(FUSIONS)}")
    images = workspace.images().select("item_id").collect()["item_id"]
    catalogue = load_catalogue(workspace.items().collect(), images, workspace.settings.language)
    log = load_event_log(workspace.events(), catalogue)
    if not enough_to_train(log):
        if fusion == "attention":
            raise ShopfuseError("fusion 'attention' needs events to train on; set 'auto' or a score-level fusion")
        models = fitted_models(text_vectors, log.scenes, WITHOUT_EVENTS if fusion == "auto" else fusion)
    else:
        models = train_shop(
            workspace, catalogue, log, text_vectors, encode_texts, seed=seed, fusion=fusion, progress=progress
        )
    models = replace(models, metrics={**models.metrics, "cleaning": log.cleaning.record()})
    save_models(workspace.checkpoints_dir, models, catalogue.ids, seed)
    return models
