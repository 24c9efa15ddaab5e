"""One trained model of the table: which settings a row has, and what a run leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.sequences import ItemAttributes
from shopfuse.training.sequences.fit import SequenceTraining, new_model, train_model
from shopfuse.training.sequences.model import ModelSettings
from shopfuse.training.sequences.scoring import Scores, model_scores, ranks
from shopfuse.training.sequences.split import Split

# (dropout, learning rate): for histories of few events and of many; chosen between on validation
TRIALS = ((0.5, 5e-3), (0.2, 3e-3))
ROWS = {
    "sasrec": ModelSettings(heads=2, filtered=False, attributes=False, compared=0),
    "ours": ModelSettings(),
}


@dataclass(frozen=True, slots=True)
class Data:
    """What every piece of work is given."""

    split: Split
    attributes: ItemAttributes | None


@dataclass(frozen=True, slots=True)
class Wanted:
    row: str
    settings: ModelSettings
    learning_rate: float
    seed: int


@dataclass(frozen=True, slots=True)
class ModelRun:
    """Where the test targets stand by one trained model, and its weights, for the fusion."""

    wanted: Wanted
    weights: dict[str, NDArray[np.generic]]
    ranks: NDArray[np.int32]  # [U]
    validation_ndcg: float
    epochs: int
    seconds: float

    def scores(self, data: Data) -> Scores:
        """The trained model again, as a way to score every item."""
        model = new_model(data.split, data.attributes, self.wanted.settings, self.wanted.seed)
        model.load_state_dict({name: torch.from_numpy(weight) for name, weight in self.weights.items()})
        model.eval()
        return lambda histories: model_scores(model, histories)


def train_run(data: Data, wanted: Wanted, training: SequenceTraining, progress: Progress) -> ModelRun:
    """Trains one model and ranks the test targets with it."""
    stage = f"{wanted.row}, seed {wanted.seed}, dropout {wanted.settings.dropout:g}, rate {wanted.learning_rate:g}"
    training = replace(training, learning_rate=wanted.learning_rate)
    trained = train_model(
        data.split, data.attributes, wanted.settings, training, seed=wanted.seed, stage=stage, progress=progress
    )
    model = trained.model
    test_ranks = ranks(lambda histories: model_scores(model, histories), data.split.test)
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    return ModelRun(wanted, weights, test_ranks, trained.validation_ndcg, trained.epochs, trained.seconds)


def first_choices(seed: int) -> list[Wanted]:
    """The runs that the settings of each row are chosen from."""
    return [
        Wanted(row, replace(settings, dropout=dropout), learning_rate, seed)
        for row, settings in ROWS.items()
        for dropout, learning_rate in TRIALS
    ]


def best_of(row: str, runs: Sequence[ModelRun]) -> ModelRun:
    """The run of a row with the highest NDCG@10 on validation."""
    return max((run for run in runs if run.wanted.row == row), key=lambda run: run.validation_ndcg)


def further_runs(chosen: Sequence[Wanted], seeds: Sequence[int], attributes: ItemAttributes | None) -> list[Wanted]:
    """The chosen settings with every other seed, and ours with a part left out with every seed."""
    ours = next(wanted for wanted in chosen if wanted.row == "ours")
    parts: dict[str, ModelSettings] = {}
    if attributes is not None and attributes.count:
        parts = {
            "ours_without_attributes": replace(ours.settings, attributes=False),
            "ours_without_id": replace(ours.settings, ids=False),
        }
    others = [replace(wanted, seed=seed) for wanted in chosen for seed in seeds if seed != wanted.seed]
    return others + [
        Wanted(row, settings, ours.learning_rate, seed) for row, settings in parts.items() for seed in seeds
    ]
