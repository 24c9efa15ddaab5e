"""What the towers are trained to do: put the clicked item before others, from the catalogue and from its own list.

Against the catalogue a sampled softmax, whose negatives are drawn as often as items are shown. The usual correction by
log Q and the wish to learn preference instead of exposure then cancel: P(item | shown) needs neither term.
Against the own list a softmax over what was shown beside the click, with the position term: a policy that knows tastes
chose the list, and what it already knew must not pass for preference.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from shopfuse.ranking.tensors import MODALITIES, TOKEN, VECTOR
from shopfuse.training.examples.tower_batch import TowerBatch
from shopfuse.training.trainers.position_term import PositionTerm

_NEVER = -1e4
_SCALES = ("user", "query", "both", "list", *MODALITIES, *(f"{name} list" for name in MODALITIES))
_FIRST_SCALE, _LARGEST_SCALE = 2.3, 3.9  # logarithms of inverse temperatures


class TowerHeads(nn.Module):
    """Reads user and query vectors as wishes about each modality; training only, later the ranker's first guess."""

    def __init__(self) -> None:
        super().__init__()
        self.user = nn.Linear(VECTOR, len(MODALITIES) * TOKEN)
        self.query = nn.Linear(VECTOR, len(MODALITIES) * TOKEN)
        self.log_scale = nn.Parameter(torch.full((len(_SCALES),), _FIRST_SCALE))
        self.positions = PositionTerm()

    def scale(self, name: str) -> Tensor:
        """The inverse temperature of one softmax."""
        return self.log_scale[_SCALES.index(name)].clamp(max=_LARGEST_SCALE).exp()

    def wishes(self, user: Tensor, query: Tensor, searched: Tensor) -> Tensor:
        """What user and query together ask of each modality: [B, M, TOKEN], L2-normalised."""
        wish = self.user(user) + self.query(query) * searched.unsqueeze(-1)
        return normalize(wish.unflatten(-1, (len(MODALITIES), TOKEN)), dim=-1)


def tower_loss(
    heads: TowerHeads,
    batch: TowerBatch,
    user: Tensor,
    query: Tensor,
    vectors: Tensor,
    tokens: Tensor,
    *,
    list_weight: float,
    modality_weight: float,
) -> Tensor:
    """The sum of all losses. `user` and `query` [B, 128] (zeros without a query); `vectors` [U, 128] and `tokens`
    [U, 3, 64] of the batch's distinct items."""
    everyone, searches = batch.weight, batch.search_weight
    loss = _among_all(user, vectors, batch, heads.scale("user"), everyone)
    loss = loss + _among_all(query, vectors, batch, heads.scale("query"), searches)
    loss = loss + _among_all(user + query, vectors, batch, heads.scale("both"), searches)
    loss = loss + list_weight * _in_its_list(user + query, vectors, batch, heads, "list")
    wishes = heads.wishes(user, query, batch.searched)
    for place, name in enumerate(MODALITIES):
        wish, token = wishes[:, place], tokens[:, place]
        loss = loss + modality_weight * _among_all(wish, token, batch, heads.scale(name), everyone)
        loss = loss + modality_weight * list_weight * _in_its_list(wish, token, batch, heads, f"{name} list")
    return loss


def _among_all(anchor: Tensor, items: Tensor, batch: TowerBatch, scale: Tensor, weight: Tensor) -> Tensor:
    """Sampled softmax of the clicked item against the shared negatives, over the examples by their `weight` [B]."""
    right = (anchor * items[batch.clicked]).sum(-1, keepdim=True) * scale
    wrong = (anchor @ items[batch.negatives].T * scale).masked_fill(batch.hit, _NEVER)
    return _mean_loss(right, wrong, weight)


def _in_its_list(anchor: Tensor, items: Tensor, batch: TowerBatch, heads: TowerHeads, name: str) -> Tensor:
    """Softmax of the clicked item against what was shown beside it and left."""
    scale = heads.scale(name)
    right = (anchor * items[batch.clicked]).sum(-1, keepdim=True) * scale
    wrong = torch.einsum("bv,bov->bo", anchor, items[batch.beside]) * scale
    right = right + heads.positions(batch.surface, batch.slot)
    wrong = wrong + heads.positions(batch.surface, batch.beside_slots)
    return _mean_loss(right, wrong.masked_fill(batch.missing, _NEVER), batch.weight)


def _mean_loss(right: Tensor, wrong: Tensor, weight: Tensor) -> Tensor:
    logits = torch.cat([right, wrong], dim=1)
    losses = cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device), reduction="none")
    return (losses * weight).sum()
