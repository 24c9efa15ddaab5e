"""Fits `stacking`: how strongly to regularise is asked of folds in the order of time, each judged by its past.

Level 0 is computed once; what remains is a convex problem of some hundred numbers, solved by L-BFGS.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.core.progress import Progress, silent
from shopfuse.training.data.snapshot import ItemVectors
from shopfuse.training.examples.ranker_data import RankerData, TaskLabels, batch_of, batches, labels_of
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.fusion.stacking import Stacking, surface_of
from shopfuse.training.trainers.position_term import PositionTerm
from shopfuse.training.trainers.ranker import split_lists
from shopfuse.training.trainers.ranker_loss import LossWeights, ranker_loss

STAGE = "train stacking"
PENALTIES = (1e-4, 1e-3, 1e-2)  # of the squared weights
FOLDS = 4  # the first is only learned from
_BLOCK = 256  # lists
_STEPS = 25  # of L-BFGS


@dataclass(frozen=True, slots=True)
class LevelOne:
    """What level 1 learns from: level 0 of lists by time."""

    opinions: Tensor  # [R, L, LEVEL_ZERO] of the methods and channels
    surface: Tensor  # [R, SURFACES]
    labels: TaskLabels

    def take(self, part: slice) -> LevelOne:
        labels = TaskLabels(**{field.name: getattr(self.labels, field.name)[part] for field in fields(TaskLabels)})
        return LevelOne(self.opinions[part], self.surface[part], labels)


def train_stacking(
    data: RankerData, items: ItemVectors, *, seed: int, progress: Progress = silent
) -> tuple[FusionRanker, PositionTerm, dict[str, Any]]:
    """The ranker, the position term, and metrics. `data` must be sorted by time; its newest lists are not used."""
    torch.manual_seed(seed)
    training, _ = split_lists(len(data))
    learned = level_one(Stacking(), data, items, training)
    losses: dict[float, float] = {}
    for at, penalty in enumerate(PENALTIES):
        progress(STAGE, at, len(PENALTIES) + 1)
        losses[penalty] = out_of_time_loss(learned, penalty)
    chosen = min(losses, key=lambda penalty: losses[penalty])
    stacking, positions = fit_level_one(learned, chosen)
    progress(STAGE, len(PENALTIES) + 1, len(PENALTIES) + 1)
    ranker = FusionRanker("stacking")
    ranker.fusion.load_state_dict(stacking.state_dict())
    metrics = {"penalty": chosen, "out_of_time_loss": {str(penalty): loss for penalty, loss in losses.items()}}
    return ranker.eval(), positions.eval(), {"stacking": metrics}


@torch.no_grad()
def level_one(stacking: Stacking, data: RankerData, items: ItemVectors, chosen: NDArray[np.int64]) -> LevelOne:
    """Level 0 of the lists at these places."""
    opinions, surfaces = [], []
    for part in batches(len(chosen), _BLOCK):
        inputs = batch_of(data, items, chosen[part]).inputs
        opinions.append(stacking.level_zero(inputs)[0])
        surfaces.append(surface_of(inputs.is_search, inputs.query_present))
    return LevelOne(torch.cat(opinions), torch.cat(surfaces), labels_of(data.take(chosen)))


def folds_in_time(count: int) -> Sequence[tuple[slice, slice]]:
    """(past, next) places: each fold but the first is predicted by what lies before it."""
    edges = [count * fold // FOLDS for fold in range(FOLDS + 1)]
    return [(slice(0, start), slice(start, end)) for start, end in itertools.pairwise(edges[1:])]


def out_of_time_loss(learned: LevelOne, penalty: float) -> float:
    """Mean loss of the folds, none of which its model has seen."""
    losses = []
    for past, following in folds_in_time(len(learned.opinions)):
        stacking, positions = fit_level_one(learned.take(past), penalty)
        with torch.no_grad():
            losses.append(float(_loss(stacking, positions, learned.take(following))))
    return float(np.mean(losses))


def fit_level_one(learned: LevelOne, penalty: float) -> tuple[Stacking, PositionTerm]:
    stacking, positions = Stacking(), PositionTerm()
    parameters = [stacking.weight, stacking.bias, *positions.parameters()]
    optimizer = torch.optim.LBFGS(parameters, max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = _loss(stacking, positions, learned) + penalty * stacking.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return stacking, positions


def _loss(stacking: Stacking, positions: PositionTerm, learned: LevelOne) -> Tensor:
    logits = stacking.level_one(learned.opinions, learned.surface)
    return ranker_loss(logits, positions, learned.labels, LossWeights())
