"""The tasks that events teach, from logits to probabilities after an impression.

Carts and purchases are the product of the click's probability and the one after a click (the entire-space model of
Ma et al., 2018, "ESMM"), so that they are learned from every impression and all tasks are comparable.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shopfuse.ranking.tensors import TASKS

TRAINED_TASKS = ("click", "cart", "purchase")


class TaskLogits(NamedTuple):
    """What a learned method says of each candidate."""

    logits: Tensor  # [B, C, 3] of the click, and of cart and purchase after a click
    modality_weights: Tensor  # [B, C, M]
    gates: Tensor | None = None  # [B, C, 3, E] shares of the experts in each task, where there are experts


def task_probabilities(logits: Tensor) -> Tensor:
    """[B, C, T] after an impression; "relevance" stays 0."""
    rates = torch.sigmoid(logits)
    click = rates[..., :1]
    return torch.cat([click, click * rates[..., 1:2], click * rates[..., 2:3], torch.zeros_like(click)], dim=-1)


assert (*TRAINED_TASKS, "relevance") == TASKS
