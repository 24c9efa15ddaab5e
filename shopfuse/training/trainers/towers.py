"""Trains the item, query and user towers together: which item comes next, given shopper, query, or both.

Two kinds of examples, of which a shop may have one: every place of every history (examples/next_items.py), and clicks
on what a request showed (examples/clicks.py). What comes later is held out, by time; nothing else is chosen on it than
when to stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.core.progress import Progress, silent
from shopfuse.ranking.tensors import VECTOR
from shopfuse.training.distributed import process_group
from shopfuse.training.distributed.messages import Message, broadcast
from shopfuse.training.examples.clicks import class_balance
from shopfuse.training.examples.next_items import NextItemBatch, NextItemSampler
from shopfuse.training.examples.tower_batch import TowerBatch, tower_batch
from shopfuse.training.trainers.loop import Schedule, TrainingHistory, best_hardware, fit, unwatched
from shopfuse.training.trainers.tower_losses import next_item_loss, next_item_ndcg, tower_loss
from shopfuse.training.trainers.tower_task import Towers, TowerTask, new_towers

STAGE, TRAINING = "train towers", "towers"
_VALIDATION_BLOCK, _ITEM_BLOCK = 2048, 4096
_VALIDATION_WINDOWS = 256
_LEAST_EPOCHS, _MOST_EPOCHS = 3, 20  # over histories


@dataclass(frozen=True, slots=True)
class Step:
    """What one step learns from: a part of either kind, or of one."""

    clicks: TowerBatch | None
    next: NextItemBatch | None


def train_towers(
    task: TowerTask, *, progress: Progress = silent, watch: Callable[[int, float], None] = unwatched
) -> tuple[Towers, dict[str, Any]]:
    """Towers and their metrics, with the help of the other ranks.

    `watch` is told each epoch's validation loss, as in `fit`, which also says what is raised.
    """
    broadcast(TRAINING, task)
    return take_part(task, progress, watch)


def take_part(
    task: TowerTask, progress: Progress = silent, watch: Callable[[int, float], None] = unwatched
) -> tuple[Towers, dict[str, Any]]:
    """What every rank does; each has the same towers afterwards."""
    towers = new_towers(task)
    metrics = _Run(towers, task).fit(progress, watch).metrics("tower")
    return towers, {**metrics, "tower_classes": class_balance(task.examples), "tower_windows": len(task.windows)}


# For the other ranks of a distributed training: how they take part in what the leader broadcasts.
TRAININGS: dict[str, Callable[[Message], object]] = {TRAINING: lambda message: take_part(message.read(TowerTask))}


class _Run:
    """One training run: data, random state, and the item vectors that the histories of clicks are made of."""

    def __init__(self, towers: Towers, task: TowerTask) -> None:
        self.towers, self.examples, self.settings = towers, task.examples, task.settings
        self.windows, self.later = task.windows, task.later
        self.hardware = best_hardware()
        self.device = self.hardware.device
        self.inputs = task.inputs.to(self.device)
        self.queries = torch.from_numpy(task.query_vectors).to(self.device)
        self.exposure = torch.softmax(torch.from_numpy(task.exposure), dim=0)
        self.random = torch.Generator().manual_seed(task.seed)
        self.draws = np.random.default_rng(task.seed)
        compared = self.settings.negatives if len(task.examples) else self.settings.compared
        self.product = torch.from_numpy(task.product.astype(np.int64)).to(self.device)
        self.sampler = NextItemSampler.of(task.windows, task.product, compared)
        self.held_out = int(self.settings.validation_share * len(self.examples))
        self.table = torch.zeros(len(self.inputs) + 1, VECTOR, device=self.device)  # the last row is nobody's

    def fit(self, progress: Progress, watch: Callable[[int, float], None]) -> TrainingHistory:
        settings, steps, epochs = self.settings, self._steps(), self._epochs()
        schedule = Schedule(
            STAGE,
            epochs,
            steps,
            settings.learning_rate,
            settings.weight_decay,
            max(settings.patience, round(0.15 * epochs)),
        )
        return fit(
            self.towers.modules,
            schedule,
            lambda epoch: self._batches(steps),
            self._training_loss,
            self._validation_loss if self.held_out or len(self.later) else None,
            groups=self._groups(),
            hardware=self.hardware,
            distributed=True,
            progress=progress,
            watch=watch,
        )

    def _epochs(self) -> int:
        """As many as clicks need; of histories alone, what makes up the places that are to be looked at."""
        if len(self.examples):
            return self.settings.epochs
        wanted = round(self.settings.places / max(int(self.windows.lengths.sum()), 1))
        return max(_LEAST_EPOCHS, min(_MOST_EPOCHS, wanted))

    def _steps(self) -> int:
        """Of an epoch: as many as the clicks fill, or as all windows do where there are more of them."""
        windows = -(-len(self.windows) // self.settings.windows)
        return max(1, self.trained // self.settings.batch, windows)

    @property
    def trained(self) -> int:
        """How many clicks are trained on: the oldest."""
        return len(self.examples) - self.held_out

    def _groups(self) -> list[dict[str, Any]]:
        modules = self.towers.modules
        shared = [p for name, module in modules.items() if name != "behaviour" for p in module.parameters()]
        own = list(self.towers.behaviour.parameters())
        return [{"params": shared}, {"params": own, "weight_decay": 0.0, "lr": self.settings.behaviour_rate}]

    def _batches(self, steps: int) -> Iterator[Step]:
        """Clicks and windows are spread evenly over the steps; either may be missing in a shop."""
        size, clicks = self.settings.batch, self._click_order(steps)
        windows = self.windows.batches(max(1, -(-len(self.windows) // steps)), self.draws)
        for step in range(steps):
            if step % self.settings.refresh_steps == 0 and len(clicks):
                self._refresh()
            chosen = clicks[step * size : (step + 1) * size]
            part = next(windows, None)
            yield Step(
                self._clicks(chosen, self._negatives(self.settings.negatives, self.random), self.random)
                if len(chosen)
                else None,
                self.sampler.batch(part, self.draws) if part is not None else None,
            )

    def _click_order(self, steps: int) -> NDArray[np.int64]:
        """Places of the clicks of an epoch, again from the start where the windows need more steps."""
        wanted = steps * self.settings.batch
        rounds = math.ceil(wanted / self.trained) if self.trained else 0
        orders = [torch.randperm(self.trained, generator=self.random).numpy() for _ in range(rounds)]
        places: NDArray[np.int64] = np.concatenate([np.zeros(0, np.int64), *orders])[:wanted]
        return places

    def _negatives(self, count: int, random: torch.Generator) -> Tensor:
        return torch.multinomial(self.exposure, count, replacement=True, generator=random)

    def _clicks(self, chosen: NDArray[np.int64], negatives: Tensor, random: torch.Generator) -> TowerBatch:
        return tower_batch(self.examples.take(chosen), negatives, self.settings.others, random, self.product.cpu())

    @torch.no_grad()
    def _refresh(self) -> None:
        """The item vectors as they are now, for the histories of clicks."""
        item, training = self.towers.item, self.towers.item.training
        item.eval()
        for start in range(0, len(self.inputs), _ITEM_BLOCK):
            rows = torch.arange(start, min(start + _ITEM_BLOCK, len(self.inputs)), device=self.device)
            self.table[rows] = self._items(rows, self.inputs.presence[rows])[0]
        item.train(training)

    def _training_loss(self, step: Step) -> Tensor:
        """The loss of this process's shard of the batch, with less known, and less well, than at serving time."""
        loss = self._everything()
        world_size = process_group.world_size()
        if step.clicks is not None:
            presence, noise = self._gaps(step.clicks.rows), self._noise(len(step.clicks.rows))
            part = process_group.shard(len(step.clicks.clicked))
            own, kept = self._forgetful(step.clicks).shard(part, world_size)
            loss = loss + self._click_loss(own, presence[kept], None if noise is None else noise[kept])
        if step.next is not None:
            presence = self._gaps(step.next.rows)
            own_next = step.next.shard(process_group.shard(len(step.next.mask)), world_size)
            loss = loss + self.settings.next_loss * self._next_loss(own_next, presence)
        return loss

    def _everything(self) -> Tensor:
        """0, of every parameter: processes that train together wait for the gradients of all."""
        if process_group.world_size() == 1:
            return torch.zeros((), device=self.device)
        parameters = [p for module in self.towers.modules.values() for p in module.parameters()]
        return torch.stack([0.0 * parameter.sum() for parameter in parameters]).sum()

    def _gaps(self, rows: Tensor) -> Tensor:
        """Which modalities of these items a step may see, [rows, 3]."""
        rates = (self.settings.drop_content, self.settings.drop_content, self.settings.drop_behaviour)
        return with_gaps(self.inputs.presence[rows.to(self.device)].cpu(), rates, self.random)

    def _validation_loss(self) -> float:
        """The mean loss of the held-out examples, against the same negatives every time."""
        loss = 0.0
        if self.held_out:
            self._refresh()
            loss += self._held_out_clicks()
        if len(self.later):
            loss += self.settings.next_loss * self._held_out_windows()
        return loss

    def _held_out_clicks(self) -> float:
        negatives = self._negatives(2 * self.settings.negatives, torch.Generator().manual_seed(0))
        starts = range(self.trained, len(self.examples), _VALIDATION_BLOCK)
        total = 0.0
        for start in starts[process_group.rank() :: process_group.world_size()]:
            chosen = np.arange(start, min(start + _VALIDATION_BLOCK, len(self.examples)))
            batch = self._clicks(chosen, negatives, torch.Generator().manual_seed(start))
            presence = self.inputs.presence[batch.rows.to(self.device)]
            total += float(self._click_loss(batch, presence)) * len(chosen)
        return process_group.mean(total) * process_group.world_size() / self.held_out

    def _held_out_windows(self) -> float:
        total = 0.0
        for start in range(0, len(self.later), _VALIDATION_WINDOWS)[process_group.rank() :: process_group.world_size()]:
            part = self.later.take(np.arange(start, min(start + _VALIDATION_WINDOWS, len(self.later))))
            batch = self.sampler.batch(part, np.random.default_rng(start))
            presence = self.inputs.presence[batch.rows.to(self.device)]
            vectors, _, users = self._next(batch.to(self.device), presence)
            total -= float(next_item_ndcg(batch.to(self.device), users, vectors)) * len(part)
        return process_group.mean(total) * process_group.world_size() / len(self.later)

    def _noise(self, items: int) -> Tensor | None:
        """What blurs the embeddings of so many items: [items, D_TEXT + D_IMAGE]."""
        if self.settings.noise == 0.0:
            return None
        widths = [self.inputs.text.shape[1], self.inputs.image.shape[1]]
        parts = [torch.randn(items, width, generator=self.random) * width**-0.5 for width in widths]
        return self.settings.noise * torch.cat(parts, dim=1)

    def _forgetful(self, batch: TowerBatch) -> TowerBatch:
        """The batch with some entries of its histories missing."""
        if self.settings.drop_history == 0.0:
            return batch
        mask = torch.from_numpy(batch.users.mask)
        kept = torch.rand(mask.shape, generator=self.random) >= self.settings.drop_history
        return replace(batch, users=replace(batch.users, mask=(mask * kept).numpy()))

    def _items(self, rows: Tensor, presence: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        text, image, _, attributes, _ = self.inputs.take(rows)
        if noise is not None:
            added = noise.to(self.device).split([text.shape[1], image.shape[1]], dim=1)  # type: ignore[no-untyped-call]
            text, image = text + added[0] * presence[:, :1], image + added[1] * presence[:, 1:2]
        vectors, tokens = self.towers.item(text, image, self.towers.behaviour(self.product[rows]), attributes, presence)
        return vectors, tokens

    def _click_loss(self, batch: TowerBatch, presence: Tensor, noise: Tensor | None = None) -> Tensor:
        batch = batch.to(self.device)
        vectors, tokens = self._items(batch.rows, presence.to(self.device), noise)
        query = self.towers.query(self.queries[batch.query]) * batch.searched.unsqueeze(-1)
        weights = {"list_weight": self.settings.list_loss, "modality_weight": self.settings.modality_loss}
        return tower_loss(self.towers.heads, batch, self._users(batch), query, vectors, tokens, **weights)

    def _next_loss(self, batch: NextItemBatch, presence: Tensor) -> Tensor:
        batch = batch.to(self.device)
        vectors, tokens, users = self._next(batch, presence)
        return next_item_loss(self.towers.heads, batch, users, vectors, tokens, self.settings.modality_loss)

    def _next(self, batch: NextItemBatch, presence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(vectors [U, 128] and tokens [U, 3, 64] of the batch's items, user vectors after each entry [B, L, 128])."""
        vectors, tokens = self._items(batch.rows, presence.to(self.device))
        entries = torch.cat([vectors, torch.zeros_like(vectors[:1])])[batch.history]  # [B, L, 128]
        return vectors, tokens, self.towers.user.every(entries, batch.events, batch.steps, batch.mask, batch.contexts)

    def _users(self, batch: TowerBatch) -> Tensor:
        users = batch.users
        arrays = (users.rows.astype(np.int64), users.events, users.gaps, users.mask, users.context)
        rows, *others = (torch.from_numpy(array).to(self.device) for array in arrays)
        vectors: Tensor = self.towers.user(self.table[rows], *others)
        return vectors


def with_gaps(presence: Tensor, rates: tuple[float, float, float], random: torch.Generator) -> Tensor:
    """Presence [n, 3] with modalities dropped at random, each at its rate, but never an item's last one."""
    kept = (torch.rand(presence.shape, generator=random) >= torch.tensor(rates)).float() * presence
    return torch.where(kept.sum(1, keepdim=True) > 0, kept, presence)
