"""Trains a sequence model: at every place of every history, which item came next, out of all of them?

Epochs end when NDCG@10 of a sample of validation users no longer rises; test items play no part.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.sequences import ItemAttributes
from shopfuse.training.sequences.batches import HistoryBatches
from shopfuse.training.sequences.full_softmax import full_softmax_loss
from shopfuse.training.sequences.item_sample import ItemSampler
from shopfuse.training.sequences.measures import ndcg10
from shopfuse.training.sequences.model import ItemVectors, ModelSettings, SequenceModel
from shopfuse.training.sequences.scoring import model_scores, ranks
from shopfuse.training.sequences.split import Cases, Split
from shopfuse.training.sequences.warm_start import neighbour_vectors
from shopfuse.training.trainers.loop import Schedule, fit


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    epochs: int = 20
    batch: int = 256  # histories, at most
    least_batch: int = 32
    epoch_steps: int = 60  # batches are smaller where a shop has too few users for so many
    least_steps: int = 2000  # in all; a small shop has more epochs for it
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    patience: float = 0.15  # share of the epochs without a better validation NDCG@10 after which training ends
    watched: int = 4000  # validation users that it is measured on


@dataclass(frozen=True, slots=True)
class Trained:
    model: SequenceModel
    validation_ndcg: float  # NDCG@10 of the watched users
    epochs: int
    seconds: float


def new_model(split: Split, attributes: ItemAttributes | None, settings: ModelSettings, seed: int) -> SequenceModel:
    torch.manual_seed(seed)
    model = SequenceModel(ItemVectors(split.train_counts, attributes, settings), settings)
    if model.items.ids is not None:  # ids begin where neighbours in the histories put them
        with torch.no_grad():
            model.items.ids.add_(neighbour_vectors(split.train, split.item_count, settings.width, seed))
    return model


def train_model(
    split: Split,
    attributes: ItemAttributes | None,
    settings: ModelSettings,
    training: TrainingSettings,
    *,
    seed: int,
    stage: str,
    progress: Progress = silent,
) -> Trained:
    model = new_model(split, attributes, settings, seed)
    batch = min(training.batch, max(training.least_batch, split.user_count // training.epoch_steps))
    batches = HistoryBatches(split.train, settings.history, split.item_count, batch, seed)
    watched = _sample(split.validation, training.watched)
    sampler = None
    if settings.compared and settings.compared < split.item_count // 2:
        sampler = ItemSampler(split.train_counts, settings.compared)
    epochs = max(training.epochs, training.least_steps // max(1, len(batches)))
    patience = max(1, round(training.patience * epochs))
    schedule = Schedule(stage, epochs, len(batches), training.learning_rate, training.weight_decay, patience)
    started = time.monotonic()
    history = fit(
        {"model": model},
        schedule,
        batches.epoch,
        lambda batch: next_item_loss(model, batch, sampler),
        lambda: -ndcg10(ranks(lambda histories: model_scores(model, histories), watched)),
        progress=progress,
    )
    best = -min(history.validation, default=0.0)
    return Trained(model, best, len(history.training), time.monotonic() - started)


def next_item_loss(model: SequenceModel, batch: Tensor, sampler: ItemSampler | None = None) -> Tensor:
    """The mean over all places of a batch [B, L] of -log P(next item | the items up to the place).

    Out of all items, or out of what a sampler draws.
    """
    vectors = model.items()
    states = model(vectors, batch[:, :-1])
    real = batch[:, 1:] < len(vectors) - 1
    targets, states = batch[:, 1:][real], states[real]
    if sampler is None:
        return full_softmax_loss(states, vectors[:-1], targets) / max(len(targets), 1)
    sample = sampler.draw(targets)
    raised = torch.cat([vectors[sample.items], sample.correction.unsqueeze(1)], 1)  # the correction as one more number
    states = torch.cat([states, states.new_ones(len(states), 1)], 1)
    return full_softmax_loss(states, raised, sample.places) / max(len(targets), 1)


def _sample(cases: Cases, count: int) -> Cases:
    chosen = np.random.default_rng(0).permutation(len(cases))[:count]
    return cases.take(np.sort(chosen))
