"""Channels become one score: a ranker over the candidates, learned on the validation targets alone.

Users are cut into folds. Each fold's ranker learns from the other folds, so that the validation figure is of users that
it has not seen; for the test all of them vote. Softmax over a user's candidates, the target among them: a conditional
logit (McFadden, 1974), linear in the features or with a small network beside it, whichever does better in the folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shopfuse.training.sequences.candidates import SequenceCandidates
from shopfuse.training.sequences.measures import ndcg10
from shopfuse.training.sequences.scoring import NOWHERE

FOLDS = 4
_EPOCHS = 12
_LEAST_STEPS = 240  # of a small shop, whose epochs are short
_BATCH = 256
_RATE = 5e-3
_HIDDEN = 32
_FAR = -1e4


class FoldRanker(nn.Module):
    """Features [B, C, F] -> scores [B, C]."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.straight = nn.Linear(features, 1, bias=False)
        self.bent = (
            nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Dropout(0.1), nn.Linear(hidden, 1, bias=False))
            if hidden
            else None
        )
        nn.init.zeros_(self.straight.weight)
        if self.bent is not None:
            nn.init.zeros_(cast(nn.Linear, self.bent[-1]).weight)

    def forward(self, features: Tensor) -> Tensor:
        scores = self.straight(features)
        if self.bent is not None:
            scores = scores + self.bent(features)
        return cast(Tensor, scores.squeeze(-1))


@dataclass(frozen=True, slots=True)
class StackedRanker:
    """The rankers of all folds, and how they did on users that they had not seen."""

    rankers: tuple[FoldRanker, ...]
    mean: Tensor  # [F] of the features
    scale: Tensor
    validation_ndcg: float
    kind: str  # "linear" or "network"

    def ranks(self, candidates: SequenceCandidates) -> NDArray[np.int32]:
        """The target's rank among the candidates, NOWHERE where no channel named it; ties count against it."""
        ranks = np.empty(len(candidates), np.int32)
        for start in range(0, len(candidates), 1024):
            part = slice(start, start + 1024)
            features = _standard(candidates.features[part], self.mean, self.scale)
            with torch.no_grad():
                scores = torch.stack([torch.log_softmax(ranker(features), 1) for ranker in self.rankers]).mean(0)
            ranks[part] = _target_ranks(scores, candidates.items[part], candidates.place[part])
        return ranks


def fit_stacked(candidates: SequenceCandidates, seed: int) -> StackedRanker:
    """The better kind of ranker, by NDCG@10 on held-out folds of the validation users."""
    real = torch.from_numpy(candidates.features[candidates.items >= 0])
    mean, scale = real.mean(0), real.std(0).clamp_min(1e-4) if len(real) > 1 else torch.ones(real.shape[1])
    fitted = [_fit_folds(candidates, mean, scale, kind, seed) for kind in ("linear", "network")]
    return max(fitted, key=lambda stacked: stacked.validation_ndcg)


def _fit_folds(candidates: SequenceCandidates, mean: Tensor, scale: Tensor, kind: str, seed: int) -> StackedRanker:
    fold = np.random.default_rng(seed).permutation(len(candidates)) % FOLDS
    held_out = np.full(len(candidates), NOWHERE, np.int32)
    rankers = []
    for at in range(FOLDS):
        learned = np.flatnonzero((fold != at) & (candidates.place >= 0))
        ranker = _fit(candidates, learned, mean, scale, _HIDDEN if kind == "network" else 0, seed + at)
        rest = np.flatnonzero(fold == at)
        part = SequenceCandidates(candidates.items[rest], candidates.features[rest], candidates.place[rest])
        held_out[rest] = StackedRanker((ranker,), mean, scale, 0.0, kind).ranks(part)
        rankers.append(ranker)
    return StackedRanker(tuple(rankers), mean, scale, ndcg10(held_out), kind)


def _fit(
    candidates: SequenceCandidates, users: NDArray[np.int64], mean: Tensor, scale: Tensor, hidden: int, seed: int
) -> FoldRanker:
    torch.manual_seed(seed)
    ranker = FoldRanker(candidates.features.shape[2], hidden)
    optimizer = torch.optim.AdamW(ranker.parameters(), lr=_RATE, weight_decay=0.01)
    random = np.random.default_rng(seed)
    an_epoch = max(1, -(-len(users) // _BATCH))
    epochs = max(_EPOCHS, -(-_LEAST_STEPS // an_epoch)) if len(users) else 0
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_RATE * 2, total_steps=epochs * an_epoch + 1)
    for _ in range(epochs):
        order = random.permutation(users)
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            scores = ranker(_standard(candidates.features[chosen], mean, scale))
            scores = scores.masked_fill(torch.from_numpy(candidates.items[chosen] < 0), _FAR)
            loss = nn.functional.cross_entropy(scores, torch.from_numpy(candidates.place[chosen]))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return ranker.eval()


def _standard(features: NDArray[np.float32], mean: Tensor, scale: Tensor) -> Tensor:
    return ((torch.from_numpy(features) - mean) / scale).clamp(-8.0, 8.0)


def _target_ranks(scores: Tensor, items: NDArray[np.int32], place: NDArray[np.int64]) -> NDArray[np.int32]:
    values = np.where(items >= 0, scores.numpy(), -np.inf)
    target = values[np.arange(len(values)), np.maximum(place, 0)]
    ranks: NDArray[np.int32] = np.where(place >= 0, (values >= target[:, None]).sum(1), NOWHERE).astype(np.int32)
    return ranks
