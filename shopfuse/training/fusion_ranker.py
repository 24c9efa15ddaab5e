"""The trained fusion ranker: attention over an item's modalities with the request as the question, and three tasks.

A candidate's score depends on the request and on itself alone, never on the other candidates: padding, page size and
the rest of the pool cannot change it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import CONTEXT_FEATURES, FEATURES
from shopfuse.ranking.tensors import MODALITIES, TASKS, TOKEN, VECTOR
from shopfuse.training.score_fusion import complete_channels

TRAINED_TASKS = ("click", "cart", "purchase")
HIDDEN = 64
HEADS = 4  # attention heads
_IS_SEARCH = CONTEXT_FEATURES.index("is_search")
_MASKED = -1e4


class FusionRanker(nn.Module):
    """The declared inputs of fusion_ranker -> (task_probabilities [B, C, 4], modality_weights [B, C, 3]).

    Carts and purchases are probabilities after an impression: the product of the click's and the one after a click
    (the entire-space model of Ma et al., 2018), so that all tasks are comparable. "relevance" stays 0.
    """

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
        modalities = len(MODALITIES)
        self.user_wish = nn.Linear(VECTOR, modalities * TOKEN)
        self.query_wish = nn.Linear(VECTOR, modalities * TOKEN)
        request = 2 * VECTOR + len(CONTEXT_FEATURES) + 2
        self.question = nn.Sequential(nn.Linear(request, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HEADS * TOKEN))
        self.key = nn.Parameter(torch.randn(modalities, TOKEN, TOKEN) * TOKEN**-0.5)
        self.prior = nn.Parameter(torch.zeros(modalities, HEADS))
        matches = 2 + 2 * modalities + HEADS
        facts = matches + modalities + 2 * len(CHANNELS) + len(FEATURES)
        self.request_gate = nn.Sequential(nn.Linear(request, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 2 * HIDDEN))
        self.candidate = nn.Linear(facts, HIDDEN)
        self.body = nn.Sequential(nn.GELU(), nn.Dropout(0.1), nn.Linear(HIDDEN, HIDDEN // 2), nn.GELU())
        self.straight = nn.Linear(facts, len(TRAINED_TASKS))
        self.tasks = nn.Linear(HIDDEN // 2, len(TRAINED_TASKS))

    def forward(
        self,
        query_vector: Tensor,
        query_present: Tensor,
        user_vector: Tensor,
        user_present: Tensor,
        context: Tensor,
        item_vectors: Tensor,
        modality_vectors: Tensor,
        modality_mask: Tensor,
        channel_scores: Tensor,
        channel_mask: Tensor,
        features: Tensor,
        candidate_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        logits, weights = self.logits(
            query_vector,
            query_present,
            user_vector,
            user_present,
            context,
            item_vectors,
            modality_vectors,
            modality_mask,
            channel_scores,
            channel_mask,
            features,
        )
        shown = torch.sigmoid(logits)
        click = shown[..., :1]
        parts = [click, click * shown[..., 1:2], click * shown[..., 2:3], torch.zeros_like(click)]
        probabilities = torch.cat(parts, dim=-1) * candidate_mask.unsqueeze(-1)  # [B, C, 4]
        return probabilities, weights * candidate_mask.unsqueeze(-1)

    def logits(
        self,
        query_vector: Tensor,
        query_present: Tensor,
        user_vector: Tensor,
        user_present: Tensor,
        context: Tensor,
        item_vectors: Tensor,
        modality_vectors: Tensor,
        modality_mask: Tensor,
        channel_scores: Tensor,
        channel_mask: Tensor,
        features: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """(logits of click, cart after click, purchase after click [B, C, 3], modality weights [B, C, 3])."""
        items = item_vectors.float()
        query, user = query_vector * query_present, user_vector * user_present
        query_cosine = (items @ query.unsqueeze(-1)).squeeze(-1)  # [B, C]
        user_cosine = (items @ user.unsqueeze(-1)).squeeze(-1)
        scores, mask = complete_channels(
            channel_scores,
            channel_mask,
            query_cosine,
            query_present,
            user_cosine,
            user_present,
            context[:, _IS_SEARCH : _IS_SEARCH + 1],
        )
        request = torch.cat([query, user, context, query_present, user_present], dim=-1)  # [B, R]
        tokens = modality_vectors.float() * modality_mask.unsqueeze(-1)  # [B, C, M, TOKEN]
        present = torch.cat([query_present, user_present], dim=-1)[:, None, None, :]
        wishes = self._wishes(query, user, tokens) * present  # nobody's wish matches nothing
        weights = self._attention(request, tokens, modality_mask)
        matched = torch.einsum("bcmh,bcm->bch", weights, wishes.sum(-1))  # [B, C, HEADS]
        facts = torch.cat(
            [
                torch.stack([query_cosine, user_cosine], dim=-1),
                wishes.flatten(2),
                matched,
                modality_mask,
                (torch.sign(scores) * torch.log1p(scores.abs()) - self.channel_mean) * self.channel_scale * mask,
                mask,
                ((features - self.feature_mean) * self.feature_scale).clamp(-5.0, 5.0),
            ],
            dim=-1,
        )
        scale, shift = self.request_gate(request).unsqueeze(1).chunk(2, dim=-1)
        hidden = self.candidate(facts) * (1.0 + scale) + shift  # the request decides what counts
        return self.tasks(self.body(hidden)) + self.straight(facts), weights.mean(-1)

    def _wishes(self, query: Tensor, user: Tensor, tokens: Tensor) -> Tensor:
        """How far each modality is what the query and the user ask for: [B, C, M, 2], cosines."""
        asked = (self.query_wish(query), self.user_wish(user))
        wishes = [normalize(wish.unflatten(-1, (-1, TOKEN)), dim=-1) for wish in asked]  # [B, M, TOKEN] each
        return torch.stack([torch.einsum("bmt,bcmt->bcm", wish, tokens) for wish in wishes], dim=-1)

    def _attention(self, request: Tensor, tokens: Tensor, modality_mask: Tensor) -> Tensor:
        """Which modality counts, for each head: [B, C, M, HEADS], 1 in sum over the modalities that are there."""
        question = self.question(request).unflatten(-1, (HEADS, TOKEN))  # [B, HEADS, TOKEN]
        keys = torch.einsum("bcmt,mtk->bcmk", tokens, self.key)
        scores = torch.einsum("bcmk,bhk->bcmh", keys, question) * TOKEN**-0.5 + self.prior
        there = modality_mask.unsqueeze(-1)
        return torch.softmax(scores.masked_fill(there == 0, _MASKED), dim=2) * there


assert TASKS[: len(TRAINED_TASKS)] == TRAINED_TASKS
