"""The layer that histories are read with: attention beside a decaying mean, then a feed-forward part.

Attention alone takes long histories to learn that newer events count more and that tastes change slowly. So every layer
also holds a low-pass filter over time, in the spirit of BSARec (Shin et al., 2024), but as a mean that decays with the
distance between places: its decay is learned for each head, and what is above it weighted apart. The two are mixed by a
learned share, and attention has a learned preference for each distance (Raffel et al., 2020) in place of absolute
positions. Which places may look at which is the caller's.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

MASKED = -1e4


class HistoryBlock(nn.Module):
    """[B, L, width] -> [B, L, width] for L up to `reach`.

    `visible` [B or 1, L or 1, L] is 1 where a place (second axis) may look at another (third), else 0. Without
    `filtered` it is SASRec's, the plain pre-norm layer of a transformer, to which positions must be told.
    """

    def __init__(self, width: int, heads: int, reach: int, dropout: float, filtered: bool = True) -> None:
        super().__init__()
        self.heads, self.filtered = heads, filtered
        self.before_mixing, self.before_feeding = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)
        if filtered:
            self.nearness = nn.Parameter(torch.zeros(heads, reach))  # added to attention at each distance
            self.slope = nn.Parameter(torch.linspace(-2.0, 1.0, heads))  # softplus of it is the decay a step
            self.detail = nn.Parameter(torch.zeros(width))  # weight of what the filter takes away
            self.share = nn.Parameter(torch.zeros(()))  # sigmoid of it is the filter's share

    def forward(self, states: Tensor, visible: Tensor) -> Tensor:
        normed, seen = self.before_mixing(states), visible.unsqueeze(1)  # [B or 1, 1, L, L]
        if self.filtered:
            ages = _ages(states.shape[1], states.device)
            share = torch.sigmoid(self.share)
            attended = self._attend(normed, self.nearness[:, ages] + (1 - seen) * MASKED)
            mixed = share * self._filter(normed, ages, seen) + (1 - share) * attended
        else:
            mixed = self._attend(normed, (1 - seen) * MASKED)
        states = states + self.dropout(mixed)
        fed: Tensor = states + self.dropout(self.feed(self.before_feeding(states)))
        return fed

    def _attend(self, states: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = states.shape
        query, key, value = self.look(states).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5  # [B, heads, L, L]
        weights = self.dropout(torch.softmax(scores + bias, dim=-1))
        return cast(Tensor, self.out((weights @ value).transpose(1, 2).reshape(batch, length, width)))

    def _filter(self, states: Tensor, ages: Tensor, seen: Tensor) -> Tensor:
        batch, length, width = states.shape
        decay = torch.exp(-softplus(self.slope).view(-1, 1, 1) * ages) * seen
        decay = decay / decay.sum(-1, keepdim=True).clamp_min(1e-6)  # [B or 1, heads, L, L]
        split = states.view(batch, length, self.heads, -1).transpose(1, 2)
        low = (decay @ split).transpose(1, 2).reshape(batch, length, width)
        return low + self.detail * (states - low)


def _ages(length: int, device: torch.device) -> Tensor:
    """How many steps lie between two places, [L, L]."""
    places = torch.arange(length, device=device)
    return (places.unsqueeze(1) - places).abs()
