"""Makes the probabilities of a learned ranker mean what they say: Platt scaling of each task on lists that it has not
learned from (Platt, 1999; Guo et al., 2017).

A scale above 0 and a shift for each task's logit: the order by any one of them stays. Kept only where it lowers the
log loss on validation lists that were not used to fit it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.training.data.snapshot import ItemVectors
from shopfuse.training.distributed.devices import device_of
from shopfuse.training.examples.ranker_data import RankerData, TaskLabels, batch_of, batches, labels_of
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.fusion.task_logits import TRAINED_TASKS
from shopfuse.training.trainers.position_term import PositionTerm
from shopfuse.training.trainers.ranker_loss import task_losses

_BLOCK = 256  # lists
_PENALTY = 1e-3  # towards leaving the logits alone
_LARGEST = 1.0  # natural logarithm of the largest scale


@torch.no_grad()
def seen_logits(
    ranker: FusionRanker, positions: PositionTerm, data: RankerData, items: ItemVectors, chosen: NDArray[np.int64]
) -> tuple[Tensor, TaskLabels]:
    """(calibrated logits [n, L, 3] of what was shown at the slot where it was shown, labels of the lists)."""
    device = device_of(ranker)
    labels = labels_of(data.take(chosen)).to(device)
    inputs = (batch_of(data, items, chosen[part]).inputs.to(device) for part in batches(len(chosen), _BLOCK))
    raw = torch.cat([ranker.logits(part).logits for part in inputs])
    raw[..., 0] += positions(labels.surface, labels.position) * labels.impression
    return ranker.calibrated(raw), labels


def calibrate(
    ranker: FusionRanker, positions: PositionTerm, data: RankerData, items: ItemVectors, chosen: NDArray[np.int64]
) -> dict[str, float]:
    """Sets the ranker's scales and shifts from the lists `chosen`; metrics say what they did to the log loss.

    The first half fits, the second half decides; where it is kept, all lists fit.
    """
    logits, labels = seen_logits(ranker, positions, data, items, chosen)
    impressions = _impressions(logits, labels)
    half = len(impressions.logits) // 2
    if half == 0:
        return {}
    first, second = impressions.take(slice(0, half)), impressions.take(slice(half, None))
    log_scale, shift = _fit(first)
    before = float(_mean_loss(second.logits, second))
    after = float(_mean_loss(second.logits * log_scale.exp() + shift, second))
    if after < before:
        log_scale, shift = _fit(impressions)
        ranker.set_calibration(log_scale.exp(), shift)
    return {"log_loss": before, "log_loss_calibrated": after, "calibrated": float(after < before)}


@dataclass(frozen=True, slots=True)
class _Impressions:
    logits: Tensor  # [n, 3]
    outcome: Tensor  # [n, 3]
    weight: Tensor  # [n]

    def take(self, part: slice) -> _Impressions:
        return _Impressions(self.logits[part], self.outcome[part], self.weight[part])


def _impressions(logits: Tensor, labels: TaskLabels) -> _Impressions:
    outcome = torch.stack([labels.clicked, labels.carted, labels.purchased], dim=-1)
    weight = labels.weight.expand_as(labels.clicked)
    return _Impressions(logits[labels.impression], outcome[labels.impression], weight[labels.impression])


def _mean_loss(logits: Tensor, impressions: _Impressions) -> Tensor:
    losses = task_losses(logits, *impressions.outcome.unbind(-1)).sum(-1)
    return (losses * impressions.weight).sum() / impressions.weight.sum()


def _fit(impressions: _Impressions) -> tuple[Tensor, Tensor]:
    """(log of the scales [3], shifts [3])."""
    device = impressions.logits.device
    log_scale, shift = (torch.zeros(len(TRAINED_TASKS), device=device, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.LBFGS([log_scale, shift], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = _PENALTY * (log_scale.square().sum() + shift.square().sum())
        loss = _mean_loss(impressions.logits * log_scale.exp() + shift, impressions) + penalty
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return log_scale.detach().clamp(-_LARGEST, _LARGEST), shift.detach()
