"""How much of its teacher a student is: cosines of their vectors, and how many of the nearest items they share."""

from __future__ import annotations

import torch
from torch import Tensor

NEAREST = 10


def fidelity(
    student_items: Tensor, teacher_items: Tensor, student_queries: Tensor, teacher_queries: Tensor
) -> dict[str, float]:
    """Of vectors of length 1, items [n, D] and queries [q, D]; each encoder searches among its own item vectors."""
    cosines = (torch.cat([student_items, student_queries]) * torch.cat([teacher_items, teacher_queries])).sum(-1)
    count = min(NEAREST, len(teacher_items))
    found, wanted = _nearest(student_queries, student_items, count), _nearest(teacher_queries, teacher_items, count)
    shared = (found.unsqueeze(-1) == wanted.unsqueeze(-2)).any(-1).float().mean()  # [q, count, count] -> []
    return {"cosine_mean": float(cosines.mean()), "cosine_min": float(cosines.min()), "overlap@10": float(shared)}


def _nearest(queries: Tensor, items: Tensor, count: int) -> Tensor:
    """The rows of the nearest items, [q, count]."""
    return torch.topk(queries @ items.T, count, dim=-1).indices
