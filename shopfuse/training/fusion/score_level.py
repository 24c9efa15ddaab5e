"""Score-level fusion in a graph: the recipe of ranking.fusion over many requests, for a `fusion_ranker`.

Where a channel has no score but its vectors are there (RankItems sends items, not scores), their cosine stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS, RECOMMEND, SEARCH, SIMILAR, TABLE
from shopfuse.ranking.fusion import (
    CHANNEL_MODALITY,
    EPSILON,
    FUSION_METHODS,
    RRF_K,
    TEMPERATURES,
    channel_weights,
)
from shopfuse.ranking.tensors import TASKS
from shopfuse.training.examples.ranker_inputs import RankerInputs

_FAR = 1e9  # beyond any score; finite, so that no candidate list gives inf - inf


def complete_channels(inputs: RankerInputs, query_cosine: Tensor, user_cosine: Tensor) -> tuple[Tensor, Tensor]:
    """Channel scores and mask [B, C, K] with cosines [B, C] in the place of missing semantic and behaviour scores.

    As the channel does, behaviour speaks of the query in a search, and of the user elsewhere.
    """
    scores, mask, query_present = inputs.channel_scores, inputs.channel_mask, inputs.query_present
    personal = torch.where(inputs.is_search > 0, query_cosine, user_cosine)
    personal_present = torch.where(inputs.is_search > 0, query_present, inputs.user_present)
    for name, cosine, present in (
        ("semantic", query_cosine, query_present),
        ("behaviour", personal, personal_present),
    ):
        place = torch.tensor(CHANNEL_COLUMN[name], device=scores.device)
        column = one_hot(place, len(CHANNELS)).to(scores.dtype)  # [K]
        missing = column * (1.0 - mask) * present.unsqueeze(-1)  # [B, C, K]
        scores = torch.where(missing > 0, cosine.unsqueeze(-1), scores)
        mask = mask + missing
    return scores, mask


def normalise(scores: Tensor, mask: Tensor) -> Tensor:
    """ranking.fusion.normalise over [B, C, K]."""
    known = mask > 0
    any_known = known.any(1, keepdim=True)
    top = torch.where(any_known, torch.where(known, scores, -_FAR).amax(1, keepdim=True), 0.0)
    low = torch.where(any_known, torch.where(known, scores, _FAR).amin(1, keepdim=True), 0.0)
    ways = [channel.normalisation for channel in TABLE]
    zero = low * torch.tensor([float(way == "min_max") for way in ways], device=scores.device)
    absolute = torch.tensor([way == "absolute" for way in ways], device=scores.device)
    span = torch.where(absolute, 1.0, top - zero)
    return torch.where(known, ((scores - zero) / span.clamp(min=EPSILON)).clamp(0.0, 1.0), 0.0)


def votes(scores: Tensor, mask: Tensor) -> Tensor:
    """ranking.fusion.votes over [B, C, K]; ranks by comparing every pair, so that no sort is needed in the graph."""
    known = (mask > 0) & (scores > 0)
    level = torch.where(known, scores, 0.0)
    better = (level.unsqueeze(1) > level.unsqueeze(2)).to(scores.dtype)  # [B, C, other, K]
    sure = normalise(scores, mask).amax(1, keepdim=True)
    return torch.where(known, sure * (RRF_K + 1.0) / (RRF_K + 1.0 + better.sum(2)), 0.0)


def soft_shares(scores: Tensor, mask: Tensor) -> Tensor:
    """ranking.fusion.soft_shares over [B, C, K]."""
    level = normalise(scores, mask)
    sure = level.amax(1, keepdim=True)
    temperatures = torch.from_numpy(TEMPERATURES).to(level.device)
    return torch.where(mask > 0, sure * torch.exp((level - sure) / temperatures), 0.0)


OPINIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "weighted": normalise,
    "vote": votes,
    "softmax": soft_shares,
}


class ScoreFusion(nn.Module):
    """inputs -> (task probabilities [B, C, T], of which only "relevance" is filled, modality weights [B, C, M])."""

    search_weights: Tensor
    similar_weights: Tensor
    recommend_weights: Tensor
    channel_modality: Tensor
    task: Tensor

    def __init__(self, method: str) -> None:
        super().__init__()
        if method not in FUSION_METHODS:
            raise ShopfuseError(f"fusion {method!r}: expected one of {', '.join(FUSION_METHODS)}")
        self.method = method
        self.register_buffer("search_weights", torch.from_numpy(channel_weights(SEARCH)))
        self.register_buffer("similar_weights", torch.from_numpy(channel_weights(SIMILAR)))
        self.register_buffer("recommend_weights", torch.from_numpy(channel_weights(RECOMMEND)))
        self.register_buffer("channel_modality", torch.from_numpy(CHANNEL_MODALITY.copy()))
        self.register_buffer("task", torch.tensor([float(name == "relevance") for name in TASKS]))

    def learn(self, search_weights: Mapping[str, float]) -> None:
        """Takes the weights that judgments chose in the place of the table's."""
        self.search_weights.copy_(torch.from_numpy(channel_weights(SEARCH, search_weights)))

    def recommend_by(self, weights: Mapping[str, float]) -> None:
        """Recommends by these channels alone."""
        self.recommend_weights.copy_(torch.tensor([weights.get(name, 0.0) for name in CHANNELS]))

    def forward(self, inputs: RankerInputs) -> tuple[Tensor, Tensor]:
        scores, mask = known_channels(inputs)
        relevance, shares = self.relevance(OPINIONS[self.method](scores, mask), mask, inputs)
        return relevance.unsqueeze(-1) * self.task, shares

    def relevance(self, opinions: Tensor, mask: Tensor, inputs: RankerInputs) -> tuple[Tensor, Tensor]:
        """(relevance [B, C], modality weights [B, C, M]) from the channels' opinions and mask [B, C, K].

        Similar items are asked for by a vector without words.
        """
        elsewhere = torch.where(inputs.query_present > 0, self.similar_weights, self.recommend_weights)
        weights = torch.where(inputs.is_search > 0, self.search_weights, elsewhere).unsqueeze(1) * mask
        relevance = (weights * opinions).sum(-1) / weights.sum(-1).clamp(min=EPSILON)
        shares = (weights * (opinions + EPSILON)) @ self.channel_modality  # [B, C, M]
        return relevance, shares / shares.sum(-1, keepdim=True).clamp(min=EPSILON * EPSILON)


def known_channels(inputs: RankerInputs) -> tuple[Tensor, Tensor]:
    """Channel scores and mask [B, C, K] of the real candidates, completed by cosines of the vectors as they came."""
    items = inputs.item_vectors.float()
    query_cosine = (items @ inputs.query_vector.unsqueeze(-1)).squeeze(-1)  # [B, C]
    user_cosine = (items @ inputs.user_vector.unsqueeze(-1)).squeeze(-1)
    scores, mask = complete_channels(inputs, query_cosine, user_cosine)
    return scores, mask * inputs.candidate_mask.unsqueeze(-1)
