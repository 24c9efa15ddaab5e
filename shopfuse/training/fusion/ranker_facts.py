"""What the learned rankers know of each candidate, in one row of numbers near 1: the input of their layers.

Cosines, attention over modalities and history, channel scores, features. It decides nothing; the heads do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import FEATURES
from shopfuse.ranking.tensors import MODALITIES
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion import history_attention, modality_attention
from shopfuse.training.fusion.history_attention import HistoryAttention
from shopfuse.training.fusion.modality_attention import ModalityAttention
from shopfuse.training.fusion.score_level import complete_channels

FACTS = 2 + modality_attention.MATCHES + history_attention.MATCHES + len(MODALITIES) + 2 * len(CHANNELS) + len(FEATURES)
_LARGEST = 5.0  # standard deviations of a feature


class RankerFacts(nn.Module):
    """inputs -> (facts [B, C, FACTS], modality weights [B, C, M])."""

    feature_mean: Tensor
    feature_scale: Tensor
    channel_mean: Tensor
    channel_scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(len(FEATURES)))
        self.register_buffer("feature_scale", torch.ones(len(FEATURES)))
        self.register_buffer("channel_mean", torch.zeros(len(CHANNELS)))
        self.register_buffer("channel_scale", torch.ones(len(CHANNELS)))
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
            (squashed(scores) - self.channel_mean) * self.channel_scale * mask,
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
        level = squashed(scores)
        mean = (level * mask).sum(0) / count
        spread = (((level - mean) ** 2 * mask).sum(0) / count).sqrt()
        self.channel_mean.copy_(mean)
        self.channel_scale.copy_(1.0 / spread.clamp(min=1e-3))


def squashed(scores: Tensor) -> Tensor:
    """BM25 has no upper end; its logarithm is near the other channels."""
    return torch.sign(scores) * torch.log1p(scores.abs())
