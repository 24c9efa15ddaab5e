"""Trains a fusion ranker of layers, `attention` or `moe`, on logged features: which of the listed items is clicked,
put in the cart, bought. What the loss says is in ranker_loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.core.progress import Progress, silent
from shopfuse.training.data.snapshot import ItemVectors
from shopfuse.training.distributed.devices import device_of
from shopfuse.training.examples.ranker_data import Batch, RankerData, batch_of, batches, drop_inputs
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion.facts import RankerFacts
from shopfuse.training.fusion.moe import uneven_usage
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.trainers.loop import Hardware, Schedule, fit, unwatched
from shopfuse.training.trainers.position_term import PositionTerm
from shopfuse.training.trainers.ranker_loss import LossWeights, ranker_loss
from shopfuse.training.trainers.tower_losses import TowerHeads

VALIDATION_SHARE = 0.15  # of the lists, the newest
_BLOCK = 256  # lists of a validation step


@dataclass(frozen=True, slots=True)
class RankerTraining:
    batch: int = 64
    epochs: int = 8
    patience: int = 1
    learning_rate: float = 2e-3
    position_rate: float = 5e-2  # learning rate of the position term: what it is late to explain, the ranker learns
    weight_decay: float = 0.02
    drop: float = 0.15  # share of inputs that are missing while it learns
    noise: float = 0.05  # length of what is added to vectors of length 1
    even_usage: float = 0.02  # weight of the loss that keeps all experts in use
    loss: LossWeights = field(default_factory=LossWeights)


def train_ranker(
    method: str,
    data: RankerData,
    items: ItemVectors,
    heads: TowerHeads,
    *,
    seed: int,
    settings: RankerTraining | None = None,
    progress: Progress = silent,
    watch: Callable[[int, float], None] = unwatched,
) -> tuple[FusionRanker, PositionTerm, dict[str, Any]]:
    """The ranker with the lowest validation loss, the position term, and metrics. `data` must be sorted by time."""
    settings = settings or RankerTraining()
    torch.manual_seed(seed)
    ranker, positions = FusionRanker(method), PositionTerm()
    assert ranker.facts is not None
    start_from(ranker.facts, heads, data)
    run = _Run(ranker, positions, data, items, settings, torch.Generator().manual_seed(seed))
    steps = max(1, -(-len(run.training) // settings.batch))
    schedule = Schedule(
        f"train {method}", settings.epochs, steps, settings.learning_rate, settings.weight_decay, settings.patience
    )
    history = fit(
        {"ranker": ranker, "positions": positions},
        schedule,
        lambda epoch: run.batches(),
        run.loss,
        run.validation_loss if len(run.validation) else None,
        groups=[
            {"params": list(ranker.parameters())},
            {"params": list(positions.parameters()), "lr": settings.position_rate, "weight_decay": 0.0},
        ],
        hardware=Hardware(torch.device("cpu"), None),  # its layers are too small for a GPU to be faster
        progress=progress,
        watch=watch,
    )
    return ranker, positions, history.metrics(method)


def split_lists(count: int, held_out: float = VALIDATION_SHARE) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the older lists and of the newest ones, a share of `held_out`."""
    cut = count - int(held_out * count)
    return np.arange(cut), np.arange(cut, count)


def start_from(facts: RankerFacts, heads: TowerHeads, data: RankerData) -> None:
    """Scales of the inputs from the data, and the towers' reading of users and queries as a first guess."""
    lists, valid = data.lists, data.lists.rows >= 0
    known = (lists.features, lists.channel_scores, lists.channel_mask)
    facts.scale_to(*(torch.from_numpy(part[valid]) for part in known))
    facts.modalities.user_wish.load_state_dict(heads.user.state_dict())
    facts.modalities.query_wish.load_state_dict(heads.query.state_dict())


class _Run:
    """One training run: modules, data and random state."""

    def __init__(
        self,
        ranker: FusionRanker,
        positions: PositionTerm,
        data: RankerData,
        items: ItemVectors,
        settings: RankerTraining,
        random: torch.Generator,
    ) -> None:
        self.ranker, self.positions, self.data, self.items = ranker, positions, data, items
        self.settings, self.random = settings, random
        self.training, self.validation = split_lists(len(data))

    def batches(self) -> Iterator[Batch]:
        order = self.training[torch.randperm(len(self.training), generator=self.random).numpy()]
        for chosen in batches(len(order), self.settings.batch):
            batch = batch_of(self.data, self.items, order[chosen])
            yield Batch(self._forgetful(batch.inputs), batch.labels)

    def _forgetful(self, inputs: RankerInputs) -> RankerInputs:
        """With some of it missing, where the shop showed lists: callers will bring candidates of their own. Visits are
        ranked as recall completes them, and a gap in training would only cost what it hides."""
        if not self.data.lists.shown.any():
            return inputs
        return drop_inputs(inputs, self.random, self.settings.drop, self.settings.noise)

    def loss(self, batch: Batch) -> Tensor:
        batch = batch.to(device_of(self.ranker))
        judged = self.ranker.logits(batch.inputs)
        loss = ranker_loss(judged.logits, self.positions, batch.labels, self.settings.loss)
        if judged.gates is None:
            return loss
        return loss + self.settings.even_usage * uneven_usage(judged.gates, batch.labels.valid)

    def validation_loss(self) -> float:
        """The mean over the newest lists, nothing dropped."""
        losses = 0.0
        for chosen in batches(len(self.validation), _BLOCK):
            batch = batch_of(self.data, self.items, self.validation[chosen]).to(device_of(self.ranker))
            logits = self.ranker.logits(batch.inputs).logits
            losses += float(ranker_loss(logits, self.positions, batch.labels, self.settings.loss)) * len(logits)
        return losses / max(len(self.validation), 1)
