"""Trains the fusion ranker on logged features: which of the listed items is clicked, put in the cart, bought.

What position does to a click is an additive term that only training knows; it is 0 at the first slot, so that served
probabilities read "if shown first". Candidates that were recalled but not shown enter the listwise loss alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, logsigmoid

from shopfuse.ranking.progress import Progress, silent
from shopfuse.training.early_stopping import EarlyStopping
from shopfuse.training.fusion_ranker import FusionRanker
from shopfuse.training.learning_rate import warm_up_then_cosine
from shopfuse.training.position_term import PositionTerm
from shopfuse.training.ranker_data import Batch, RankerData, batch_of, batches, drop_inputs
from shopfuse.training.ranker_facts import RankerFacts
from shopfuse.training.ranker_inputs import RankerInputs
from shopfuse.training.snapshot import ItemVectors
from shopfuse.training.tower_losses import TowerHeads

STAGE = "train ranker"


@dataclass(frozen=True, slots=True)
class RankerTraining:
    batch: int = 64
    epochs: int = 8
    patience: int = 1
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    validation_share: float = 0.15  # the newest lists
    drop: float = 0.15
    noise: float = 0.1  # length of what is added to vectors of length 1
    list_loss: float = 1.0
    asked_others: float = 4.0  # weight of candidates that were not shown, where a query or an item says what is wanted
    unasked_others: float = 0.1  # elsewhere: a policy that knows tastes chose what to show


def train_ranker(
    data: RankerData,
    items: ItemVectors,
    heads: TowerHeads,
    *,
    seed: int,
    settings: RankerTraining | None = None,
    progress: Progress = silent,
) -> tuple[FusionRanker, PositionTerm, dict[str, float]]:
    """The ranker with the lowest validation loss, the position term, and metrics. `data` must be sorted by time."""
    settings = settings or RankerTraining()
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    ranker, positions = FusionRanker(), PositionTerm()
    start_from(ranker.fusion.facts, heads, data)
    training, validation = split_lists(len(data), settings.validation_share)
    steps = max(1, -(-len(training) // settings.batch))
    parameters = [*ranker.parameters(), *positions.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = warm_up_then_cosine(optimizer, steps * settings.epochs)
    stopping = EarlyStopping({"ranker": ranker, "positions": positions}, settings.patience)
    for epoch in range(settings.epochs):
        ranker.train()
        order = training[torch.randperm(len(training), generator=random).numpy()]
        for step, chosen in enumerate(batches(len(order), settings.batch)):
            batch = batch_of(data, items, order[chosen])
            inputs = drop_inputs(batch.inputs, random, settings.drop, settings.noise)
            loss = ranker_loss(ranker, positions, batch, inputs, settings)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            progress(STAGE, epoch * steps + step + 1, steps * settings.epochs)
        if stopping.should_stop(_validate(ranker, positions, data, items, validation, settings)):
            break
    stopping.restore()
    metrics = {"ranker_validation_loss": stopping.best, "ranker_epochs": float(stopping.epochs)}
    return ranker.eval(), positions.eval(), metrics


def split_lists(count: int, validation_share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the lists to train on and of the newest ones, to validate on."""
    cut = count - int(validation_share * count)
    return np.arange(cut), np.arange(cut, count)


def start_from(facts: RankerFacts, heads: TowerHeads, data: RankerData) -> None:
    """Scales of the inputs from the data, and the towers' reading of users and queries as a first guess."""
    lists, valid = data.lists, data.lists.rows >= 0
    facts.scale_to(
        *(torch.from_numpy(part[valid]) for part in (lists.features, lists.channel_scores, lists.channel_mask))
    )
    facts.modalities.user_wish.load_state_dict(heads.user.state_dict())
    facts.modalities.query_wish.load_state_dict(heads.query.state_dict())


def ranker_loss(
    ranker: FusionRanker, positions: PositionTerm, batch: Batch, inputs: RankerInputs, settings: RankerTraining
) -> Tensor:
    """Entire-space log loss of the three tasks on what was shown, plus a listwise softmax over all candidates."""
    logits = ranker.logits(inputs).logits
    term = positions(batch.surface, batch.position)
    shown = batch.shown.float()
    click = logits[..., 0] + term * shown
    pointwise = binary_cross_entropy_with_logits(click, batch.clicked, reduction="none")
    for place, label in ((1, batch.carted), (2, batch.purchased)):
        positive = logsigmoid(click) + logsigmoid(logits[..., place])  # log of the product of two probabilities
        negative = torch.log1p(-positive.exp().clamp(max=1 - 1e-6))
        pointwise = pointwise - (label * positive + (1 - label) * negative)
    average = (term * shown).sum(1, keepdim=True) / shown.sum(1, keepdim=True).clamp(min=1.0)
    others = torch.where(batch.asked > 0, np.log(settings.asked_others), np.log(settings.unasked_others))
    listed = torch.where(batch.shown, click, logits[..., 0] + average + others)
    listed = listed.masked_fill(~batch.valid, -1e4)
    target = batch.gain / batch.gain.sum(1, keepdim=True).clamp(min=1.0)
    listwise = -(target * log_softmax(listed, dim=1)).sum(1).mean()
    return (pointwise * shown).sum() / shown.sum().clamp(min=1.0) + settings.list_loss * listwise


@torch.no_grad()
def _validate(
    ranker: FusionRanker,
    positions: PositionTerm,
    data: RankerData,
    items: ItemVectors,
    validation: NDArray[np.int64],
    settings: RankerTraining,
) -> float:
    ranker.eval()
    losses, count = 0.0, 0
    for chosen in batches(len(validation), 256):
        batch = batch_of(data, items, validation[chosen])
        size = len(batch.valid)
        losses += float(ranker_loss(ranker, positions, batch, batch.inputs, settings)) * size
        count += size
    return losses / max(count, 1)
