"""SASRec (Kang and McAuley, 2018) with a softmax over all items: the trained row that others are measured beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.training.sequences.fit import SequenceTraining, TrainedSequenceModel, train_model
from shopfuse.training.sequences.model import ModelSettings
from shopfuse.training.sequences.scoring import model_scores
from shopfuse.training.sequences.split import Histories, Split


@dataclass(frozen=True, slots=True)
class SasRecTrial:
    dropout: float
    learning_rate: float


# For histories of few events and of many; chosen between on validation.
TRIALS = (SasRecTrial(0.5, 5e-3), SasRecTrial(0.2, 3e-3))


def sasrec_training(epochs: int | None) -> SequenceTraining:
    """`epochs` at most, by default as many as a shop of its size needs."""
    return SequenceTraining() if epochs is None else SequenceTraining(epochs=epochs, least_steps=0)


@dataclass(frozen=True, slots=True)
class SasRec:
    trained: TrainedSequenceModel

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """Log probabilities of every item as the next one, [U, N]."""
        return model_scores(self.trained.model, histories)


def train_sasrec(split: Split, trial: SasRecTrial, training: SequenceTraining, seed: int, progress: Progress) -> SasRec:
    settings = ModelSettings(dropout=trial.dropout)
    training = replace(training, learning_rate=trial.learning_rate)
    stage = f"sasrec, dropout {trial.dropout:g}, rate {trial.learning_rate:g}"
    return SasRec(train_model(split, settings, training, seed=seed, stage=stage, progress=progress))


def best_trial(validation: Sequence[float]) -> int:
    """The place of the trial with the highest NDCG@10 on validation."""
    return int(np.argmax(validation))
