"""The trained towers: item, query and user in one behaviour space, and a token for each modality of an item.

An item's vector is a sum over its modalities plus a small correction, so that a missing one leaves the rest in place
and content alone carries an item that nobody has seen yet.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.ranking.features import CONTEXT_FEATURES
from shopfuse.ranking.tensors import ATTRIBUTE_BUCKETS, D_IMAGE, MODALITIES, TOKEN, VECTOR
from shopfuse.ranking.user_state import EVENT_CODES, MAX_HISTORY
from shopfuse.training.models.history_block import HistoryBlock
from shopfuse.training.models.ridge import fit_linear

HIDDEN = 128
POOLS = 4  # ways in which a user's history is summed up
LOOK, HEADS = 32, 2  # of the layer over the history
_HOURS = 8.0  # scale of log1p(hours)
_FAR = 1e4


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


def fit_query_tower(tower: QueryTower, texts: NDArray[np.float32], item_vectors: NDArray[np.float32]) -> None:
    """For a shop without searches to learn from: words ask for the items whose texts [N, D] they are like.

    `item_vectors` [N, 128] are where those items lie.
    """
    fit_linear(tower.straight, texts, item_vectors)
    last = cast(nn.Linear, tower.bent[-1])
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()


class UserTower(nn.Module):
    """History and context -> user_vector [B, 128], L2-normalised: a causal layer over the history.

    Entries are items, what was done with them and how long it took until the next one. Each is read in the light of
    those before it, which decides how much it counts in each of POOLS sums, and moves what it stands for. A vector says
    what comes next: `forward` gives the one at the newest entry, `every` the one at each entry, for training.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.event = nn.Embedding(len(EVENT_CODES) + 1, LOOK)
        self.step = nn.Linear(1, LOOK)
        self.look = nn.Linear(VECTOR, LOOK)
        self.dropout = nn.Dropout(dropout)
        self.block = HistoryBlock(LOOK, HEADS, MAX_HISTORY, dropout)
        self.attention = nn.Linear(LOOK, POOLS)
        self.nearness = nn.Parameter(torch.zeros(POOLS, MAX_HISTORY))  # added to attention at each distance
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
        vectors = self.dropout(history_vectors.float())
        seen = self._read(vectors, history_events, steps_of(history_gaps), history_mask)
        newest = seen.shape[1] - 1
        return self._pooled(seen, vectors, history_mask, context.unsqueeze(1), first=newest).squeeze(1)

    def every(self, vectors: Tensor, events: Tensor, steps: Tensor, mask: Tensor, contexts: Tensor) -> Tensor:
        """The vector after each entry, of entries up to it alone: [B, L, 128].

        `vectors` [B, L, 128]; `steps` [B, L] log1p(hours until what came next); `contexts` [B, L, C] of that moment.
        """
        vectors = self.dropout(vectors)
        return self._pooled(self._read(vectors, events, steps, mask), vectors, mask, contexts, first=0)

    def _read(self, vectors: Tensor, events: Tensor, steps: Tensor, mask: Tensor) -> Tensor:
        """Each entry in the light of those before it, [B, L, LOOK]."""
        entries = self.look(vectors) + self.event(events) + self.step(steps.unsqueeze(-1) / _HOURS)
        return torch.tanh(self.block(entries * mask.unsqueeze(-1), _causal(mask)))

    def _pooled(self, seen: Tensor, vectors: Tensor, mask: Tensor, contexts: Tensor, first: int) -> Tensor:
        """The vectors after the entries from `first` on, [B, L - first, 128]."""
        places = torch.arange(seen.shape[1], device=seen.device)
        ages = (places[first:].unsqueeze(1) - places).clamp_min(0)  # [L - first, L]
        scores = self.attention(seen).transpose(1, 2).unsqueeze(2) + self.nearness[:, ages]  # [B, POOLS, L - first, L]
        visible = _causal(mask)[:, first:].unsqueeze(1)
        weights = torch.softmax(scores + (visible - 1.0) * _FAR, dim=-1) * visible
        pooled = weights @ (vectors + self.moved(seen)).unsqueeze(1)  # [B, POOLS, L - first, 128]
        return normalize(self.joined(pooled.transpose(1, 2).flatten(2)) + self.context(contexts), dim=-1)


def steps_of(gaps: Tensor) -> Tensor:
    """log1p(hours until the next entry, or until the request after the newest one), from the gaps [B, L], log1p(hours
    before the request), of entries that are padded in front."""
    hours = torch.expm1(gaps)
    later = torch.cat([hours[:, 1:], torch.zeros_like(hours[:, :1])], dim=1)
    return torch.log1p((hours - later).clamp_min(0.0))


def _causal(mask: Tensor) -> Tensor:
    """[B, L, L], 1 where an entry (second axis) sees another (third): itself and what was before."""
    length = mask.shape[1]
    return torch.tril(torch.ones(length, length, device=mask.device, dtype=mask.dtype)) * mask.unsqueeze(1)
