"""SASRec's model: after these items, which comes next? Ids and positions through plain pre-norm transformer layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shopfuse.training.models.history_block import HistoryBlock

_START = 0.02  # standard deviation of vectors before training


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What is built; sizes that fit shops of 1,000 to 40,000 users."""

    width: int = 64
    layers: int = 2
    heads: int = 2
    dropout: float = 0.5
    history: int = 50  # the newest items that are looked at


class SequenceModel(nn.Module):
    """Histories [B, L] of item places (N pads, behind) -> states [B, L, width] that score items by inner product."""

    def __init__(self, train_counts: NDArray[np.int64], settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.known: Tensor  # [N] 1 where an item has training events
        self.register_buffer("known", torch.from_numpy((train_counts > 0).astype(np.float32)))
        width = settings.width
        self.ids = nn.Parameter(torch.randn(len(train_counts), width) * _START)
        self.position = nn.Embedding(settings.history, width)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(
            HistoryBlock(width, settings.heads, settings.history, settings.dropout, filtered=False)
            for _ in range(settings.layers)
        )
        self.final = nn.LayerNorm(width)
        nn.init.normal_(self.position.weight, std=_START)

    def items(self) -> Tensor:
        """Vectors of all items and, in the last row, of padding: [N + 1, width]. Zero where nobody had an item."""
        items = self.ids * self.known.unsqueeze(1)
        return torch.cat([items, items.new_zeros(1, items.shape[1])])

    def forward(self, vectors: Tensor, histories: Tensor) -> Tensor:
        length, real = histories.shape[1], (histories < len(vectors) - 1).to(vectors.dtype)  # [B, L]
        places = torch.arange(length, device=real.device)
        ages = (real.sum(1, keepdim=True).long() - 1 - places).clamp_min(0)  # 0: the newest
        states = vectors[histories] + self.position(ages)
        states = self.dropout(states) * real.unsqueeze(-1)
        visible = torch.tril(real.new_ones(length, length)) * real.unsqueeze(1)
        for block in self.blocks:
            states = block(states, visible)
        return cast(Tensor, self.final(states))
