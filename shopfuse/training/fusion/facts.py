"""What the learned rankers know of each candidate, in one row of numbers near 1: the input of their layers.

Cosines, attention over modalities and history, channel scores, features. It decides nothing; the heads do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopfuse.ranking.channels import CHANNELS, TABLE
from shopfuse.ranking.features import FEATURES
from shopfuse.ranking.tensors import MODALITIES, VECTOR
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion import modality_attention
from shopfuse.training.fusion.modality_attention import ModalityAttention
from shopfuse.training.fusion.score_level import complete_channels

HEADS = 2
VALUE = 8  # numbers that an entry says about a candidate that it matches
HISTORY_MATCHES = HEADS * (1 + VALUE)  # numbers for each candidate
_SHARPNESS = 6.0  # of a cosine, at the start of training
_HOURS = 8.0  # scale of log1p(hours)
_FAR = 1e4
FACTS = 2 + modality_attention.MATCHES + HISTORY_MATCHES + len(MODALITIES) + 2 * len(CHANNELS) + len(FEATURES)
_LARGEST = 5.0  # standard deviations of a feature
_MAGNIFIED = 1000.0  # scores that differ by orders of magnitude, before their logarithm


class HistoryAttention(nn.Module):
    """(inputs, item vectors [B, C, 128] fp32) -> matches [B, C, HISTORY_MATCHES]; zeros without a history.

    Attention over the user's history with the candidate as the question (Zhou et al., 2018: deep interest network). A
    user vector is one answer for all candidates; here each candidate asks what in the history speaks for it. The
    projections of question and key are one matrix on the history's side, computed once for a request, so that a
    candidate costs a dot product for each entry.
    """

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
        answers = torch.unflatten(weights.flatten(1, 2) @ values, 1, (-1, HEADS)).flatten(2)  # [B, C, HEADS * VALUE]
        matches = torch.cat([(weights * likeness).sum(-1), answers], dim=-1)
        return matches * inputs.history_mask.amax(1)[:, None, None]


class RankerFacts(nn.Module):
    """inputs -> (facts [B, C, FACTS], modality weights [B, C, M])."""

    feature_mean: Tensor
    feature_scale: Tensor
    channel_mean: Tensor
    channel_scale: Tensor
    magnified: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(len(FEATURES)))
        self.register_buffer("feature_scale", torch.ones(len(FEATURES)))
        self.register_buffer("channel_mean", torch.zeros(len(CHANNELS)))
        self.register_buffer("channel_scale", torch.ones(len(CHANNELS)))
        self.register_buffer("magnified", torch.tensor([_MAGNIFIED if row.orders else 1.0 for row in TABLE]))
        self.modalities = ModalityAttention()
        self.history = HistoryAttention()

    def forward(self, inputs: RankerInputs) -> tuple[Tensor, Tensor]:
        items = inputs.item_vectors.float()
        query_cosine = (items @ inputs.query.unsqueeze(-1)).squeeze(-1)  # [B, C]
        user_cosine = (items @ inputs.user.unsqueeze(-1)).squeeze(-1)
        scores, mask = complete_channels(inputs, query_cosine, user_cosine)
        matches, weights = self.modalities(inputs)
        facts = [
            torch.stack([query_cosine, user_cosine], dim=-1),
            matches,
            self.history(inputs, items),
            inputs.modality_mask,
            (self._level(scores) - self.channel_mean) * self.channel_scale * mask,
            mask,
            ((inputs.features - self.feature_mean) * self.feature_scale).clamp(-_LARGEST, _LARGEST),
        ]
        return torch.cat(facts, dim=-1), weights

    @torch.no_grad()
    def scale_to(self, features: Tensor, scores: Tensor, mask: Tensor) -> None:
        """Takes mean and spread from real candidates: features [n, F], channel scores and mask [n, K]."""
        self.feature_mean.copy_(features.mean(0))
        self.feature_scale.copy_(1.0 / features.std(0).clamp(min=1e-3))
        count = mask.sum(0).clamp(min=1.0)
        level = self._level(scores)
        mean = (level * mask).sum(0) / count
        spread = (((level - mean) ** 2 * mask).sum(0) / count).sqrt()
        self.channel_mean.copy_(mean)
        self.channel_scale.copy_(1.0 / spread.clamp(min=1e-3))

    def _level(self, scores: Tensor) -> Tensor:
        """Near 1 for every channel: BM25 has no upper end, and shares of a thousandth say something, too."""
        return torch.sign(scores) * torch.log1p(scores.abs() * self.magnified)
