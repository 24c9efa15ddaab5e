"""A sequence model: after these items, which comes next? Items are ids, attributes, or both added up.

An item without training events has no id vector to speak of and is its attributes alone, in and out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from shopfuse.datasets.sequences import ItemAttributes
from shopfuse.training.models.history_block import HistoryBlock

_START = 0.02  # standard deviation of vectors before training


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What is built; sizes that fit shops of 1,000 to 40,000 users."""

    width: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.5
    history: int = 50  # the newest items that are looked at
    filtered: bool = True  # layers with the decaying mean
    ids: bool = True
    attributes: bool = True
    compared: int = 3000  # items that a batch's targets are compared with in training; 0: all
    drop_part: float = 0.2  # share of items that are shown without their id, or without attributes, in training


class ItemEmbeddings(nn.Module):
    """Vectors of all items and, in the last row, of padding: [N + 1, width]."""

    def __init__(
        self, train_counts: NDArray[np.int64], attributes: ItemAttributes | None, settings: ModelSettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.known: Tensor  # [N] 1 where an item has training events
        self.attribute_ids: Tensor
        self.attribute_starts: Tensor
        known = torch.from_numpy((train_counts > 0).astype(np.float32))
        self.register_buffer("known", known)
        self.ids = nn.Parameter(torch.randn(len(known), settings.width) * _START) if settings.ids else None
        self.attributes: nn.Parameter | None = None
        if settings.attributes and attributes is not None and attributes.count:
            self.register_buffer("attribute_ids", torch.from_numpy(attributes.ids))
            self.register_buffer("attribute_starts", torch.from_numpy(attributes.starts[:-1].astype(np.int32)))
            self.attributes = nn.Parameter(torch.randn(attributes.count, settings.width) * _START)

    def forward(self) -> Tensor:
        parts = []
        if self.ids is not None:
            parts.append(self.ids * self._kept(self.known).unsqueeze(1))
        if self.attributes is not None:
            described = embedding_bag(self.attribute_ids, self.attributes, self.attribute_starts, mode="mean")
            parts.append(described)
        items = torch.stack(parts).sum(0)
        return torch.cat([items, items.new_zeros(1, items.shape[1])])

    def _kept(self, present: Tensor) -> Tensor:
        """Some ids are dropped in training where attributes can stand in for them."""
        if not self.training or self.attributes is None:
            return present
        return present * (torch.rand(len(present)) >= self.settings.drop_part).to(present.device)


class SequenceModel(nn.Module):
    """Histories [B, L] of item places (N pads, behind) -> states [B, L, width] that score items by inner product."""

    def __init__(self, items: ItemEmbeddings, settings: ModelSettings) -> None:
        super().__init__()
        self.items, self.settings = items, settings
        width = settings.width
        self.position = None if settings.filtered else nn.Embedding(settings.history, width)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(
            HistoryBlock(width, settings.heads, settings.history, settings.dropout, settings.filtered)
            for _ in range(settings.layers)
        )
        self.final = nn.LayerNorm(width)
        if self.position is not None:
            nn.init.normal_(self.position.weight, std=_START)

    def forward(self, vectors: Tensor, histories: Tensor) -> Tensor:
        length, real = histories.shape[1], (histories < len(vectors) - 1).to(vectors.dtype)  # [B, L]
        states = vectors[histories]
        if self.position is not None:
            places = torch.arange(length, device=real.device)
            ages = (real.sum(1, keepdim=True).long() - 1 - places).clamp_min(0)  # 0: the newest
            states = states + self.position(ages)
        states = self.dropout(states) * real.unsqueeze(-1)
        visible = torch.tril(real.new_ones(length, length)) * real.unsqueeze(1)
        for block in self.blocks:
            states = block(states, visible)
        return cast(Tensor, self.final(states))
