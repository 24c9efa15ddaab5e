"""One batch of tower examples as tensors, with the items that it speaks of listed once.

Processes that train together draw the same batch and each computes a shard of its examples: the draws are the batch's,
never a process's own, so that the result does not depend on how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from shopfuse.training.examples.clicks import TowerExamples
from shopfuse.training.examples.user_inputs import UserInputs


@dataclass(frozen=True, slots=True)
class TowerBatch:
    """`rows` [U] are the distinct items; `clicked`, `negatives` and `beside` are places among them."""

    rows: Tensor
    clicked: Tensor  # [B]
    negatives: Tensor  # [n] shared by the batch
    hit: Tensor  # [B, n] where a negative is of the product that was clicked
    beside: Tensor  # [B, o] unclicked items of the click's own list
    missing: Tensor  # [B, o] where the list had no further item
    slot: Tensor  # [B, 1] of the click
    beside_slots: Tensor  # [B, o]
    weight: Tensor  # [B] 1 in sum
    search_weight: Tensor  # [B] the same among the searches, 0 elsewhere
    searched: Tensor  # [B] whether there was a query
    query: Tensor  # [B] row of the query's embedding, 0 where there is none
    users: UserInputs

    @property
    def surface(self) -> Tensor:
        """[B, 1], 1 in a search."""
        return self.searched.long().unsqueeze(-1)

    def to(self, device: torch.device) -> TowerBatch:
        return TowerBatch(**{name: value.to(device) for name, value in self._tensors().items()}, users=self.users)

    def shard(self, part: slice, world_size: int) -> tuple[TowerBatch, Tensor]:
        """The examples `part`, and which of `rows` they need. Weights grow so that the mean over ranks is right."""
        if world_size == 1:
            return self, torch.arange(len(self.rows))
        clicked, beside = self.clicked[part], self.beside[part]
        kept, places = torch.unique(torch.cat([clicked, self.negatives, beside.flatten()]), return_inverse=True)
        clicked, negatives, listed = places.split([len(clicked), len(self.negatives), beside.numel()])
        tensors = {name: value[part] for name, value in self._tensors().items() if name not in ("rows", "negatives")}
        tensors |= {name: tensors[name] * world_size for name in ("weight", "search_weight")}
        tensors |= {"rows": self.rows[kept], "negatives": negatives}
        tensors |= {"clicked": clicked, "beside": listed.reshape(beside.shape)}
        return TowerBatch(**tensors, users=self.users.take(np.arange(len(self.clicked))[part])), kept

    def _tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "users"}


def tower_batch(
    examples: TowerExamples, negatives: Tensor, others: int, random: torch.Generator, product: Tensor
) -> TowerBatch:
    """The batch of `examples` with shared `negatives` (item rows [n]) and `others` random items of each list.

    `product` [N] names the product of each item.
    """
    items = torch.from_numpy(examples.item.astype(np.int64))
    picked = torch.rand(examples.others.shape, generator=random).argsort(1)[:, :others]
    beside = torch.from_numpy(examples.others.astype(np.int64)).gather(1, picked)
    parts = torch.cat([items, negatives, beside.clamp(min=0).flatten()])
    rows, places = torch.unique(parts, return_inverse=True)
    clicked, shared, listed = places.split([len(items), len(negatives), beside.numel()])
    query, weight = torch.from_numpy(examples.query), torch.from_numpy(examples.weight)
    return TowerBatch(
        rows=rows,
        clicked=clicked,
        negatives=shared,
        hit=product[items][:, None] == product[negatives][None, :],
        beside=listed.reshape(beside.shape),
        missing=beside < 0,
        slot=torch.from_numpy(examples.position.astype(np.int64)).unsqueeze(-1),
        beside_slots=torch.from_numpy(examples.other_positions.astype(np.int64)).gather(1, picked),
        weight=_shares(weight),
        search_weight=_shares(weight * (query >= 0)),
        searched=query >= 0,
        query=query.clamp(min=0),
        users=examples.users,
    )


def _shares(weight: Tensor) -> Tensor:
    return weight / weight.sum().clamp(min=1.0)
