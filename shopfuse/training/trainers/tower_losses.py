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
from shopfuse.training.examples.next_items import NextItemBatch
from shopfuse.training.examples.tower_batch import TowerBatch
from shopfuse.training.trainers.full_softmax import full_softmax_loss
from shopfuse.training.trainers.position_term import PositionTerm

_NEVER = -1e4
_SCALES = (
    *("user", "query", "both", "list", *MODALITIES, *(f"{name} list" for name in MODALITIES)),
    *("next", *(f"{name} next" for name in MODALITIES)),
)
_FIRST_SCALE, _LARGEST_SCALE = 2.3, 3.9  # logarithms of inverse temperatures
_FIRST_SCALES = {"next": 3.0}  # among thousands of items


class TowerHeads(nn.Module):
    """Reads user and query vectors as wishes about each modality; training only, later the ranker's first guess."""

    def __init__(self) -> None:
        super().__init__()
        self.user = nn.Linear(VECTOR, len(MODALITIES) * TOKEN)
        self.query = nn.Linear(VECTOR, len(MODALITIES) * TOKEN)
        self.log_scale = nn.Parameter(torch.tensor([_FIRST_SCALES.get(name, _FIRST_SCALE) for name in _SCALES]))
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


def next_item_loss(
    heads: TowerHeads, batch: NextItemBatch, users: Tensor, vectors: Tensor, tokens: Tensor, modality_weight: float
) -> Tensor:
    """-log P(what came next) after each entry, over the items it is compared with; and the same of each modality alone.

    `users` [B, L, 128]; `vectors` [U, 128] and `tokens` [U, 3, 64] of the batch's distinct items.
    """
    wanted = batch.weight > 0
    states, targets, weights = users[wanted], batch.target[wanted], batch.weight[wanted]  # [P, 128], [P], [P]
    loss = _next(states * heads.scale("next"), vectors[batch.compared], targets, weights, batch.correction)
    some = batch.modality_weight > 0
    states, targets, weights = users[some], batch.target[some], batch.modality_weight[some]
    wishes = normalize(heads.user(states).unflatten(-1, (len(MODALITIES), TOKEN)), dim=-1)
    for place, name in enumerate(MODALITIES):
        items = tokens[batch.compared, place]
        wish = wishes[:, place] * heads.scale(f"{name} next")
        loss = loss + modality_weight * _next(wish, items, targets, weights, batch.correction)
    return loss


def next_item_ndcg(batch: NextItemBatch, users: Tensor, vectors: Tensor) -> Tensor:
    """NDCG@10 of what came next among the items that it is compared with, the mean over the places by their weight."""
    wanted = batch.weight > 0
    scores = users[wanted] @ vectors[batch.compared].T  # [P, K]
    rank = (scores >= scores.gather(1, batch.target[wanted].unsqueeze(1))).sum(1)  # 1 is the best; ties count against
    gain = torch.where(rank <= 10, 1.0 / torch.log2(rank + 1.0), 0.0)
    return (gain * batch.weight[wanted]).sum()


def _next(states: Tensor, items: Tensor, targets: Tensor, weights: Tensor, correction: Tensor) -> Tensor:
    """The correction is one more number of each item, and 1 of each state."""
    raised = torch.cat([items, correction.unsqueeze(1)], dim=1)
    return full_softmax_loss(torch.cat([states, torch.ones_like(states[:, :1])], dim=1), raised, targets, weights)


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
