"""Attention over the user's history with the candidate as the question (Zhou et al., 2018: deep interest network).

A user vector is one answer for all candidates; here each candidate asks what in the history speaks for it. The
projections of question and key are one matrix on the history's side, computed once for a request, so that a candidate
costs a dot product for each entry.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopfuse.ranking.tensors import VECTOR
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.examples.ranker_inputs import RankerInputs

HEADS = 2
VALUE = 8  # numbers that an entry says about a candidate that it matches
MATCHES = HEADS * (1 + VALUE)  # numbers for each candidate
_SHARPNESS = 6.0  # of a cosine, at the start of training
_HOURS = 8.0  # scale of log1p(hours)
_FAR = 1e4


class HistoryAttention(nn.Module):
    """(inputs, item vectors [B, C, 128] fp32) -> matches [B, C, MATCHES]; zeros without a history."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Parameter(torch.eye(VECTOR).repeat(1, HEADS) * _SHARPNESS)  # [128, HEADS * 128]
        self.event = nn.Embedding(len(EVENT_CODES) + 1, HEADS + VALUE)
        self.gap = nn.Linear(1, HEADS + VALUE)
        self.value = nn.Linear(VECTOR, VALUE)
        nn.init.normal_(self.event.weight, std=0.1)

    def forward(self, inputs: RankerInputs, items: Tensor) -> Tensor:
        history = inputs.history_vectors.float()
        entry = self.event(inputs.history_events) + self.gap(inputs.history_gaps.unsqueeze(-1) / _HOURS)
        preferred, meaning = entry.split([HEADS, VALUE], dim=-1)  # [B, 50, HEADS], [B, 50, VALUE]
        keys = torch.unflatten(history @ self.look, -1, (HEADS, VECTOR))  # [B, 50, HEADS, 128]
        keys = keys.transpose(1, 2).flatten(1, 2)  # [B, HEADS * 50, 128]
        likeness = torch.unflatten(items @ keys.transpose(1, 2), -1, (HEADS, -1))  # [B, C, HEADS, 50]
        absent = (inputs.history_mask.unsqueeze(1) - 1.0) * _FAR  # [B, 1, 50]
        weights = torch.softmax(likeness + (preferred.transpose(1, 2) + absent).unsqueeze(1), dim=-1)
        values = torch.tanh(self.value(history) + meaning)  # [B, 50, VALUE]
        said = torch.unflatten(weights.flatten(1, 2) @ values, 1, (-1, HEADS)).flatten(2)  # [B, C, HEADS * VALUE]
        matches = torch.cat([(weights * likeness).sum(-1), said], dim=-1)
        return matches * inputs.history_mask.amax(1)[:, None, None]
