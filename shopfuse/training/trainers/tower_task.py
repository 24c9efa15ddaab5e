"""What the towers are trained from and how, and the towers that know nothing yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shopfuse.ranking.tensors import TOKEN
from shopfuse.training.examples.clicks import TowerExamples
from shopfuse.training.examples.item_inputs import ItemInputs
from shopfuse.training.examples.next_items import Windows
from shopfuse.training.models.towers import ItemTower, QueryTower, UserTower
from shopfuse.training.trainers.tower_losses import TowerHeads

_ALONE = {"learning_rate": 3e-3, "behaviour_rate": 5e-3, "weight_decay": 0.01, "dropout": 0.2}
_FEW, _DROPOUT_OF_FEW = 30.0, 0.5  # events of an item
_NOISE = 0.16  # of the id embeddings at the start, beside where neighbours put them


@dataclass(frozen=True, slots=True)
class TowerTraining:
    batch: int = 512  # clicks
    windows: int = 256  # stretches of histories, at most
    compared: int = 2000  # items that what came next is compared with, where histories are all there is
    places: int = 3_000_000  # in histories, that are learned from in all: a small shop is looked at more often
    negatives: int = 512  # for the whole batch of clicks, from the whole catalogue; and as many for its histories
    others: int = 8  # for each click, from its own list
    epochs: int = 3  # over clicks
    patience: int = 1  # epochs without a better validation loss, at least
    learning_rate: float = 2e-3
    behaviour_rate: float = 1e-2  # learning rate of the id embeddings: each is met seldom
    weight_decay: float = 0.05
    validation_share: float = 0.1  # the newest clicks
    refresh_steps: int = 16  # histories of clicks see item vectors that are at most this old
    drop_behaviour: float = 0.3  # so that an item without an id embedding is nothing unusual
    drop_content: float = 0.1
    drop_history: float = 0.0  # of a history's entries
    dropout: float = 0.0  # in the layer that reads histories
    noise: float = 0.0  # length of what is added to text and image embeddings of length 1
    modality_loss: float = 0.3
    list_loss: float = 3.0
    next_loss: float = 1.0

    def of_histories_alone(self, events_per_item: float) -> TowerTraining:
        """As a shop without clicks on what was shown learns best, but for settings that are not the usual ones."""
        usual, alone = TowerTraining(), _ALONE | ({"dropout": _DROPOUT_OF_FEW} if events_per_item < _FEW else {})
        changed: dict[str, Any] = {
            name: value for name, value in alone.items() if getattr(self, name) == getattr(usual, name)
        }
        return replace(self, **changed)


@dataclass(frozen=True, slots=True)
class Towers:
    item: ItemTower
    query: QueryTower
    user: UserTower
    heads: TowerHeads
    behaviour: nn.Embedding  # [N, TOKEN]

    @property
    def modules(self) -> dict[str, nn.Module]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TowerTask:
    """All that the towers learn from, and how."""

    examples: TowerExamples  # by time
    windows: Windows  # of histories
    later: Windows  # what came after them, held out
    inputs: ItemInputs  # `presence` says who has behaviour
    query_vectors: NDArray[np.float32]  # [n, D_TEXT]
    exposure: NDArray[np.float32]  # [N] log impressions
    start: NDArray[np.float32]  # [N, TOKEN] id embeddings to begin with
    product: NDArray[np.int32]  # [N] the row whose id embedding an item has: its product's
    seed: int
    settings: TowerTraining


def new_towers(task: TowerTask) -> Towers:
    """Towers that know nothing yet but where ids begin; the task's seed decides their weights."""
    torch.manual_seed(task.seed)
    towers = Towers(
        ItemTower(task.inputs.text.shape[1], task.inputs.image.shape[1]),
        QueryTower(task.query_vectors.shape[1]),
        UserTower(task.settings.dropout),
        TowerHeads(),
        nn.Embedding(len(task.inputs), TOKEN),
    )
    nn.init.normal_(towers.behaviour.weight, std=TOKEN**-0.5)
    with torch.no_grad():
        towers.behaviour.weight.mul_(_NOISE).add_(torch.from_numpy(task.start))
    return towers
