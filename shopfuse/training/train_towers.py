"""Trains the item, query and user towers together: which item is clicked next, given shopper, query, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shopfuse.ranking.progress import Progress, silent
from shopfuse.ranking.tensors import TOKEN, VECTOR
from shopfuse.training.early_stopping import EarlyStopping
from shopfuse.training.item_inputs import ItemInputs, encode_items
from shopfuse.training.learning_rate import warm_up_then_cosine
from shopfuse.training.tower_batch import TowerBatch, tower_batch
from shopfuse.training.tower_examples import TowerExamples
from shopfuse.training.tower_losses import TowerHeads, tower_loss
from shopfuse.training.towers import ItemTower, QueryTower, UserTower

STAGE = "train towers"
_VALIDATION_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class TowerTraining:
    batch: int = 512
    negatives: int = 512  # for the whole batch, from the whole catalogue
    others: int = 8  # for each click, from its own list
    epochs: int = 6
    patience: int = 1  # epochs without a better validation loss
    learning_rate: float = 2e-3
    behaviour_rate: float = 1e-2  # learning rate of the id embeddings: each is met seldom
    weight_decay: float = 0.05
    validation_share: float = 0.1  # the newest examples
    refresh_steps: int = 16  # histories see item vectors that are at most this old
    drop_behaviour: float = 0.3  # so that an item without an id embedding is nothing unusual
    drop_content: float = 0.1
    modality_loss: float = 0.3
    list_loss: float = 3.0


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

    def train(self, mode: bool) -> None:
        for module in self.modules.values():
            module.train(mode)


def train_towers(
    examples: TowerExamples,
    inputs: ItemInputs,
    query_vectors: NDArray[np.float32],
    exposure: NDArray[np.float32],
    *,
    seed: int,
    settings: TowerTraining | None = None,
    progress: Progress = silent,
) -> tuple[Towers, dict[str, float]]:
    """Towers and their metrics. `exposure` [N] is log impressions; `inputs.presence` says who has behaviour."""
    settings = settings or TowerTraining()
    torch.manual_seed(seed)
    towers = Towers(
        ItemTower(inputs.text.shape[1]),
        QueryTower(query_vectors.shape[1]),
        UserTower(),
        TowerHeads(),
        nn.Embedding(len(inputs), TOKEN),
    )
    nn.init.normal_(towers.behaviour.weight, std=TOKEN**-0.5)
    shown = torch.softmax(torch.from_numpy(exposure), dim=0)
    run = _Run(towers, examples, inputs, torch.from_numpy(query_vectors), shown, settings, seed)
    metrics = run.fit(progress)
    towers.train(False)
    return towers, metrics


class _Run:
    """One training run: data, random state, and the item vectors that histories are made of."""

    def __init__(
        self,
        towers: Towers,
        examples: TowerExamples,
        inputs: ItemInputs,
        queries: Tensor,
        shown: Tensor,
        settings: TowerTraining,
        seed: int,
    ) -> None:
        self.towers, self.examples, self.inputs, self.settings = towers, examples, inputs, settings
        self.queries, self.shown = queries, shown
        self.random = torch.Generator().manual_seed(seed)
        self.held_out = int(settings.validation_share * len(examples))
        self.table = torch.zeros(len(inputs) + 1, VECTOR)  # the last row is nobody's

    def fit(self, progress: Progress) -> dict[str, float]:
        settings, count = self.settings, len(self.examples) - self.held_out
        steps = max(1, count // settings.batch)
        optimizer = torch.optim.AdamW(self._groups(), lr=settings.learning_rate)
        schedule = warm_up_then_cosine(optimizer, steps * settings.epochs)
        stopping = EarlyStopping(self.towers.modules, settings.patience)
        for epoch in range(settings.epochs):
            order = torch.randperm(count, generator=self.random).numpy()
            for step in range(steps):
                if step % settings.refresh_steps == 0:
                    self._refresh()
                loss = self._training_loss(order[step * settings.batch : (step + 1) * settings.batch])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                progress(STAGE, epoch * steps + step + 1, steps * settings.epochs)
            if stopping.should_stop(self._validation_loss()):
                break
        stopping.restore()
        return {"tower_validation_loss": stopping.best, "tower_epochs": float(stopping.epochs)}

    def _groups(self) -> list[dict[str, Any]]:
        settings, modules = self.settings, self.towers.modules
        shared = [p for name, module in modules.items() if name != "behaviour" for p in module.parameters()]
        own = list(self.towers.behaviour.parameters())
        return [
            {"params": shared, "weight_decay": settings.weight_decay},
            {"params": own, "weight_decay": 0.0, "lr": settings.behaviour_rate},
        ]

    def _refresh(self) -> None:
        """The item vectors as they are now, for the histories."""
        weight = self.towers.behaviour.weight.detach()
        inputs = self.inputs
        current = ItemInputs(inputs.text, inputs.image, weight, inputs.attributes, inputs.presence)
        self.table[:-1] = torch.from_numpy(encode_items(self.towers.item, current)[0])

    def _training_loss(self, chosen: NDArray[np.int64]) -> Tensor:
        negatives = torch.multinomial(self.shown, self.settings.negatives, replacement=True, generator=self.random)
        batch = tower_batch(self.examples.take(chosen), negatives, self.settings.others, self.random)
        return self._loss(batch, self._with_gaps(self.inputs.presence[batch.rows]))

    @torch.no_grad()
    def _validation_loss(self) -> float:
        """The mean loss of the held-out examples, against the same negatives every time."""
        self.towers.train(False)
        self._refresh()
        random = torch.Generator().manual_seed(0)
        negatives = torch.multinomial(self.shown, 2 * self.settings.negatives, replacement=True, generator=random)
        total, first = 0.0, len(self.examples) - self.held_out
        for start in range(first, len(self.examples), _VALIDATION_BLOCK):
            chosen = np.arange(start, min(start + _VALIDATION_BLOCK, len(self.examples)))
            batch = tower_batch(self.examples.take(chosen), negatives, self.settings.others, random)
            total += float(self._loss(batch, self.inputs.presence[batch.rows])) * len(chosen)
        self.towers.train(True)
        return total / max(self.held_out, 1)

    def _with_gaps(self, presence: Tensor) -> Tensor:
        """Presence with some modalities dropped at random, but never an item's last one."""
        rates = [self.settings.drop_content, self.settings.drop_content, self.settings.drop_behaviour]
        kept = (torch.rand(presence.shape, generator=self.random) >= torch.tensor(rates)).float() * presence
        return torch.where(kept.sum(1, keepdim=True) > 0, kept, presence)

    def _loss(self, batch: TowerBatch, presence: Tensor) -> Tensor:
        text, image, _, attributes, _ = self.inputs.take(batch.rows)
        vectors, tokens = self.towers.item(text, image, self.towers.behaviour(batch.rows), attributes, presence)
        users = batch.users
        user = self.towers.user(
            self.table[torch.from_numpy(users.rows.astype(np.int64))],
            torch.from_numpy(users.events),
            torch.from_numpy(users.gaps),
            torch.from_numpy(users.mask),
            torch.from_numpy(users.context),
        )
        query = self.towers.query(self.queries[batch.query]) * batch.searched.unsqueeze(-1)
        weights = {"list_weight": self.settings.list_loss, "modality_weight": self.settings.modality_loss}
        return tower_loss(self.towers.heads, batch, user, query, vectors, tokens, **weights)
