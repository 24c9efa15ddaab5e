"""What a slot of a list does to a click: a term that training adds to the click's logit and serving leaves out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SLOTS = 64
SURFACES = ("recommend", "search")


class PositionTerm(nn.Module):
    """A number for each surface and slot, 0 at the first: served probabilities read "if shown first"."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(-0.4 * torch.log1p(torch.arange(SLOTS).float()).repeat(2, 1))

    def learned(self) -> dict[str, list[float]]:
        """The numbers by surface, for the record."""
        table = (self.table - self.table[:, :1]).detach()
        return {name: [round(float(term), 4) for term in row] for name, row in zip(SURFACES, table, strict=True)}

    def forward(self, surface: Tensor, position: Tensor) -> Tensor:
        """`surface` 1 in a search, else 0; broadcasts with `position`."""
        term: Tensor = (self.table - self.table[:, :1])[surface, position.clamp(max=SLOTS - 1)]
        return term
