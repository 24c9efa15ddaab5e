"""The trained towers: item, query and user in one behaviour space, and a token for each modality of an item.

An item's vector is a sum over its modalities plus a small correction, so that a missing one leaves the rest in place
and content alone carries an item that nobody has seen yet.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.ranking.features import CONTEXT_FEATURES
from shopfuse.ranking.tensors import ATTRIBUTE_BUCKETS, D_IMAGE, MODALITIES, TOKEN, VECTOR
from shopfuse.ranking.user_state import EVENT_CODES, MAX_HISTORY
from shopfuse.training.models.history_block import HistoryBlock

HIDDEN = 128
POOLS = 4  # ways in which a user's history is summed up
LOOK, HEADS = 32, 2  # of the layer over the history; four heads cost half as much again and found no more
_MASKED = -1e4


class ItemTower(nn.Module):
    """Item inputs -> (item_vector [B, 128], modality_vectors [B, 3, 64]), each L2-normalised, zero where absent."""

    def __init__(self, text_dim: int, image_dim: int = D_IMAGE) -> None:
        super().__init__()
        self.text = nn.Sequential(nn.Linear(text_dim, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, TOKEN))
        self.attributes = nn.Embedding(ATTRIBUTE_BUCKETS, TOKEN, padding_idx=0)
        self.image = nn.Sequential(nn.Linear(image_dim, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, TOKEN))
        self.share = nn.Parameter(torch.randn(len(MODALITIES), TOKEN, VECTOR) * TOKEN**-0.5)
        self.correction = nn.Sequential(
            nn.Linear(len(MODALITIES) * (TOKEN + 1), HIDDEN), nn.GELU(), nn.Linear(HIDDEN, VECTOR)
        )
        nn.init.normal_(self.attributes.weight, std=0.05)
        with torch.no_grad():
            self.attributes.weight[0] = 0.0

    def forward(
        self,
        text_embedding: Tensor,
        image_embedding: Tensor,
        behaviour_embedding: Tensor,
        attributes: Tensor,
        presence: Tensor,
    ) -> tuple[Tensor, Tensor]:
        # Padding adds its row, zeros for ever. An EmbeddingBag would sum too, but is a loop over the batch in a graph.
        text = self.text(text_embedding) + self.attributes(attributes).sum(1)  # [B, 64]
        tokens = torch.stack([text, self.image(image_embedding), behaviour_embedding], dim=1)
        tokens = normalize(tokens, dim=-1) * presence.unsqueeze(-1)  # [B, 3, 64]
        summed = torch.einsum("bmt,mtv->bv", tokens, self.share)
        vector = summed + self.correction(torch.cat([tokens.flatten(1), presence], dim=1))
        known = presence.amax(1, keepdim=True)
        return normalize(vector, dim=-1) * known, tokens


class QueryTower(nn.Module):
    """text_embedding [B, D] -> query_vector [B, 128], L2-normalised."""

    def __init__(self, text_dim: int) -> None:
        super().__init__()
        self.straight = nn.Linear(text_dim, VECTOR)
        self.bent = nn.Sequential(nn.Linear(text_dim, 2 * HIDDEN), nn.GELU(), nn.Linear(2 * HIDDEN, VECTOR))

    def forward(self, text_embedding: Tensor) -> Tensor:
        return normalize(self.straight(text_embedding) + self.bent(text_embedding), dim=-1)


class UserTower(nn.Module):
    """History and context -> user_vector [B, 128], L2-normalised: a transformer over the history, pooled by attention.

    Entries are items, what was done with them and how long ago. In the layer each is read in the light of the others,
    which decides how much it counts in each of POOLS sums, and moves what it stands for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.event = nn.Embedding(len(EVENT_CODES) + 1, LOOK)
        self.gap = nn.Linear(1, LOOK)
        self.look = nn.Linear(VECTOR, LOOK)
        self.block = HistoryBlock(LOOK, HEADS, MAX_HISTORY, dropout=0.0)
        self.attention = nn.Linear(LOOK, POOLS)
        self.moved = nn.Linear(LOOK, VECTOR)
        self.joined = nn.Linear(POOLS * VECTOR, VECTOR)
        self.context = nn.Sequential(nn.Linear(len(CONTEXT_FEATURES), 32), nn.GELU(), nn.Linear(32, VECTOR))
        with torch.no_grad():  # starts as the mean of the pools, so that a user begins near the items of the history
            self.joined.weight.copy_(torch.eye(VECTOR).repeat(1, POOLS) / POOLS)
            self.moved.weight.zero_()
            self.moved.bias.zero_()

    def forward(
        self,
        history_vectors: Tensor,
        history_events: Tensor,
        history_gaps: Tensor,
        history_mask: Tensor,
        context: Tensor,
    ) -> Tensor:
        vectors = history_vectors.float()
        gaps = self.gap(history_gaps.unsqueeze(-1) / 8.0)
        entries = self.look(vectors) + self.event(history_events) + gaps  # [B, 50, LOOK]
        seen = torch.tanh(self.block(entries, history_mask.unsqueeze(1)))
        scores = self.attention(seen).masked_fill(history_mask.unsqueeze(-1) == 0, _MASKED)
        weights = torch.softmax(scores, dim=1) * history_mask.unsqueeze(-1)  # [B, 50, POOLS]
        pooled = (weights.transpose(1, 2) @ (vectors + self.moved(seen))).flatten(1)  # [B, POOLS * 128]
        return normalize(self.joined(pooled) + self.context(context), dim=-1)
