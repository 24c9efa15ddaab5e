"""Trains a sequence model: at every place of every history, which item came next, out of all of them?

Epochs end when NDCG@10 of a sample of validation users no longer rises; test items play no part.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.core.progress import Progress, silent
from shopfuse.training.sequences.measures import ndcg10
from shopfuse.training.sequences.model import ModelSettings, SequenceModel
from shopfuse.training.sequences.neighbours import neighbour_matrix
from shopfuse.training.sequences.scoring import model_scores, ranks
from shopfuse.training.sequences.split import Cases, Histories, Split
from shopfuse.training.trainers.full_softmax import full_softmax_loss
from shopfuse.training.trainers.id_start import spectral_vectors
from shopfuse.training.trainers.loop import Schedule, fit

_POOL = 16  # batches whose users are sorted by length together


@dataclass(frozen=True, slots=True)
class SequenceTraining:
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
class TrainedSequenceModel:
    model: SequenceModel
    validation_ndcg: float  # NDCG@10 of the watched users
    epochs: int
    seconds: float


class HistoryBatches:
    """Every user with at least two items, once an epoch; the newest `history` + 1 items of each.

    Users of like length come together, so that little of a batch is padding.
    """

    def __init__(self, train: Histories, history: int, padding: int, batch: int, seed: int) -> None:
        usable = train.take(np.flatnonzero(train.lengths >= 2))
        self._table = usable.padded(history + 1, padding)
        self._lengths = np.minimum(usable.lengths, history + 1)
        self._batch, self._random = batch, np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self._table) // self._batch)

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Item places [B, L], oldest first, padding behind; another order each time."""
        batches = self._chosen()
        for at in self._random.permutation(len(batches)):
            width = int(self._lengths[batches[at]].max())
            yield torch.from_numpy(self._table[batches[at], :width])

    def _chosen(self) -> list[NDArray[np.int64]]:
        order = self._random.permutation(len(self._table))
        batches = []
        for start in range(0, len(order), _POOL * self._batch):
            pool = order[start : start + _POOL * self._batch]
            pool = pool[np.argsort(self._lengths[pool], kind="stable")]
            batches += [pool[at : at + self._batch] for at in range(0, len(pool), self._batch)]
        return batches


def new_model(split: Split, settings: ModelSettings, seed: int) -> SequenceModel:
    """Its ids begin where neighbours in the histories put them."""
    torch.manual_seed(seed)
    model = SequenceModel(split.train_counts, settings)
    with torch.no_grad():
        model.ids.add_(spectral_vectors(neighbour_matrix(split.train, split.item_count), settings.width, seed))
    return model


def next_item_loss(model: SequenceModel, batch: Tensor) -> Tensor:
    """The mean over all places of a batch [B, L] of -log P(next item | the items up to the place)."""
    vectors = model.items()
    batch = batch.to(vectors.device)
    states = model(vectors, batch[:, :-1])
    real = batch[:, 1:] < len(vectors) - 1
    targets, states = batch[:, 1:][real], states[real]  # [P], [P, width]
    loss = full_softmax_loss(states, vectors[:-1], targets, states.new_ones(len(states)))
    return loss / max(len(targets), 1)


def train_model(
    split: Split,
    settings: ModelSettings,
    training: SequenceTraining,
    *,
    seed: int,
    stage: str,
    progress: Progress = silent,
) -> TrainedSequenceModel:
    model = new_model(split, settings, seed)
    batch = min(training.batch, max(training.least_batch, split.user_count // training.epoch_steps))
    batches = HistoryBatches(split.train, settings.history, split.item_count, batch, seed)
    watched = _sample(split.validation, training.watched)
    epochs = max(training.epochs, training.least_steps // max(1, len(batches)))
    patience = max(1, round(training.patience * epochs))
    schedule = Schedule(stage, epochs, len(batches), training.learning_rate, training.weight_decay, patience)
    started = time.monotonic()
    history = fit(
        {"model": model},
        schedule,
        batches.epoch,
        lambda batch: next_item_loss(model, batch),
        lambda: -ndcg10(ranks(lambda histories: model_scores(model, histories), watched)),
        progress=progress,
    )
    best = -min(history.validation, default=0.0)
    return TrainedSequenceModel(model, best, len(history.training), time.monotonic() - started)


def _sample(cases: Cases, count: int) -> Cases:
    chosen = np.random.default_rng(0).permutation(len(cases))[:count]
    return cases.take(np.sort(chosen))
