"""How the models of a shop were made: the settings of every trainer and a hash of what they were trained on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from shopfuse.datasets.workspace import Workspace
from shopfuse.training.data.provenance import data_hash
from shopfuse.training.data.user_histories import last_moment
from shopfuse.training.trainers.shop_images import image_training
from shopfuse.training.trainers.tuned_settings import TrainingSettings, read_tuned


def training_record(workspace: Workspace, clicks: int, lists: int, settings: TrainingSettings) -> dict[str, Any]:
    return {
        "towers": "trained",
        "clicks": clicks,
        "lists": lists,
        "data": data_hash(workspace),
        "events_until": last_moment(workspace.events()),  # later events are held out from everything
        "image_training": asdict(image_training(workspace)),
        "tower_training": asdict(settings.towers),
        "ranker_training": asdict(settings.ranker),
        "tuned": read_tuned(workspace.root),
    }
