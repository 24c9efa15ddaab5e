"""Logged lists joined with the vectors of the towers: the ranker's inputs and labels, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.ranking.channels import CHANNEL_COLUMN
from shopfuse.ranking.features import CONTEXT_FEATURES
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.logged_features import LoggedLists
from shopfuse.training.snapshot import ItemVectors

GAIN = np.array([0.0, 1.0, 1.0, 2.0, 3.0], np.float32)  # of an outcome in listwise targets and in validation
_IS_SEARCH = CONTEXT_FEATURES.index("is_search")


@dataclass(frozen=True, slots=True)
class RankerData:
    """Row n of every per-request array [R, ...] belongs to the n-th logged list."""

    lists: LoggedLists
    query: NDArray[np.float32]  # [R, 128], zeros where absent
    user: NDArray[np.float32]  # [R, 128], zeros where absent
    context: NDArray[np.float32]  # [R, CONTEXT_FEATURES]

    def __len__(self) -> int:
        return len(self.lists)

    def take(self, chosen: NDArray[np.generic]) -> RankerData:
        return RankerData(self.lists.take(chosen), self.query[chosen], self.user[chosen], self.context[chosen])


@dataclass(frozen=True, slots=True)
class Batch:
    """`inputs` in the order of the ranker's arguments, without candidate_mask. The others are [B, L]."""

    inputs: tuple[Tensor, ...]
    valid: Tensor
    shown: Tensor
    position: Tensor  # 0 where not shown
    surface: Tensor  # [B, 1] 1 in a search
    asked: Tensor  # [B, 1] 1 where there is a query vector: of a query, or of an item to find others like
    clicked: Tensor
    carted: Tensor
    purchased: Tensor
    gain: Tensor


def batch_of(data: RankerData, items: ItemVectors, chosen: NDArray[np.generic]) -> Batch:
    part = data.take(chosen)
    lists = part.lists
    valid = lists.rows >= 0
    rows = np.where(valid, lists.rows, 0)
    outcome = lists.outcome

    def tensor(values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))

    inputs = (
        tensor(part.query),
        tensor(part.query.any(1, keepdims=True)),
        tensor(part.user),
        tensor(part.user.any(1, keepdims=True)),
        tensor(part.context),
        tensor(items.vectors[rows]),
        tensor(items.tokens[rows]),
        tensor(items.mask[rows]),
        tensor(lists.channel_scores),
        tensor(lists.channel_mask),
        tensor(lists.features),
    )
    return Batch(
        inputs=inputs,
        valid=torch.from_numpy(valid),
        shown=torch.from_numpy(lists.position >= 0),
        position=torch.from_numpy(np.maximum(lists.position, 0).astype(np.int64)),
        asked=inputs[1],
        surface=torch.from_numpy(part.context[:, _IS_SEARCH : _IS_SEARCH + 1].astype(np.int64)),
        clicked=tensor(outcome > 0),
        carted=tensor(outcome >= EVENT_CODES["add_to_cart"]),
        purchased=tensor(outcome == EVENT_CODES["purchase"]),
        gain=tensor(GAIN[outcome]),
    )


def batches(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)


def drop_inputs(inputs: tuple[Tensor, ...], random: torch.Generator, rate: float) -> tuple[Tensor, ...]:
    """The batch with some modalities, channels and users missing, as they will be at serving time.

    A whole request loses the semantic and behaviour channels together: that is what RankItems looks like.
    """
    query, query_present, user, user_present, context, vectors, tokens, mask, scores, channel_mask, features = inputs
    batch, length, _ = mask.shape

    def keep(*shape: int) -> Tensor:
        return (torch.rand(*shape, generator=random) >= rate).float()

    kept = mask * keep(batch, length, mask.shape[2])
    mask = torch.where(kept.sum(-1, keepdim=True) > 0, kept, mask)
    channel_mask = channel_mask * keep(batch, 1, channel_mask.shape[2])
    unscored = keep(batch, 1, 1)
    column = torch.ones(channel_mask.shape[2])
    column[[CHANNEL_COLUMN["semantic"], CHANNEL_COLUMN["behaviour"]]] = 0.0
    channel_mask = channel_mask * torch.maximum(unscored, column)
    user_present = user_present * keep(batch, 1)
    return (
        query, query_present, user, user_present, context, vectors, tokens, mask, scores, channel_mask, features,
    )  # fmt: skip
