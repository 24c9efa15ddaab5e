"""What the learned fusion rankers are trained to do: tell what follows an impression, and put the wanted item first.

What position does to a click is an additive term that only training knows; it is 0 at the first slot, so that served
probabilities read "if shown first". Candidates that were recalled but not shown enter the listwise loss alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, logsigmoid

from shopfuse.training.examples.ranker_data import TaskLabels
from shopfuse.training.trainers.position_term import PositionTerm

_NEVER = -1e4
_SURELY = 1 - 1e-6
_RAREST = 1e-3


@dataclass(frozen=True, slots=True)
class LossWeights:
    list_loss: float = 1.0
    asked_others: float = 4.0  # weight of candidates that were not shown, where a query or an item says what is wanted
    unasked_others: float = 0.1  # elsewhere: a policy that knows tastes chose what to show


def ranker_loss(logits: Tensor, positions: PositionTerm, labels: TaskLabels, weights: LossWeights) -> Tensor:
    """Entire-space log loss of the tasks on what was shown, plus a listwise softmax over all candidates.

    `logits` [B, L, 3] as in TaskLogits. No class is weighted up: rare purchases keep their rate, so that probabilities
    mean what they say; the listwise loss is what tells a list's few wanted items from its many others.
    """
    term = positions(labels.surface, labels.position)
    impression = labels.impression.float()
    seen = torch.cat([logits[..., :1] + (term * impression).unsqueeze(-1), logits[..., 1:]], dim=-1)
    weight = impression * labels.weight
    losses = task_losses(seen, labels.clicked, labels.carted, labels.purchased)
    pointwise = (losses.sum(-1) * weight).sum() / weight.sum().clamp(min=1.0)
    return pointwise + weights.list_loss * _list_loss(logits[..., 0], term, labels, weights)


def task_losses(logits: Tensor, clicked: Tensor, carted: Tensor, purchased: Tensor) -> Tensor:
    """Log loss of each task's probability after an impression, [..., 3], from logits [..., 3] and outcomes [...]; of
    cart and purchase through the click, so that impressions without a click teach them too (Ma et al., 2018)."""
    click = logits[..., 0]
    losses = [binary_cross_entropy_with_logits(click, clicked, reduction="none")]
    for place, label in ((1, carted), (2, purchased)):
        positive = logsigmoid(click) + logsigmoid(logits[..., place])  # log of the product of two probabilities
        negative = torch.log1p(-positive.exp().clamp(max=_SURELY))
        losses.append(-(label * positive + (1 - label) * negative))
    return torch.stack(losses, dim=-1)


def _list_loss(click: Tensor, term: Tensor, labels: TaskLabels, weights: LossWeights) -> Tensor:
    """Softmax of a list's gains over its candidates, the mean over lists with a gain. Those that were not shown stand
    at the list's average slot; the unwanted of a visit, which nobody was shown, for all that recall brought."""
    impression = labels.impression.float()
    average = (term * impression).sum(1, keepdim=True) / impression.sum(1, keepdim=True).clamp(min=1.0)
    others = torch.where(labels.has_query > 0, math.log(weights.asked_others), math.log(weights.unasked_others))
    of_visit = torch.where(labels.gain > 0, 0.0, -torch.log(labels.sampled.clamp_min(_RAREST)))  # [B, L]
    others = torch.where(labels.impression.any(1, keepdim=True), others, of_visit)
    listed = torch.where(labels.impression, click + term, click + average + others).masked_fill(~labels.valid, _NEVER)
    target = labels.gain / labels.gain.sum(1, keepdim=True).clamp(min=1.0)
    of_list = -(target * log_softmax(listed, dim=1)).sum(1)
    return of_list.sum() / (labels.gain > 0).any(1).sum().clamp(min=1)
