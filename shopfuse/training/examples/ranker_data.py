"""Logged lists joined with the vectors of the towers: the ranker's inputs and labels, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.ranking.channels import CHANNEL_COLUMN
from shopfuse.ranking.features import CONTEXT_FEATURES
from shopfuse.ranking.history import history_vectors
from shopfuse.ranking.tensors import VECTOR
from shopfuse.ranking.user_state import CARTED, EVENT_WEIGHT, PURCHASED
from shopfuse.training.data.snapshot import ItemVectors
from shopfuse.training.examples.logged_features import LoggedLists
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.examples.user_inputs import UserInputs

GAIN = EVENT_WEIGHT  # of an outcome in listwise targets and in validation
_IS_SEARCH = CONTEXT_FEATURES.index("is_search")


@dataclass(frozen=True, slots=True)
class RankerData:
    """Row n of every per-request array [R, ...] belongs to the n-th logged list."""

    lists: LoggedLists
    query: NDArray[np.float32]  # [R, 128], zeros where absent
    user: NDArray[np.float32]  # [R, 128], zeros where absent
    user_inputs: UserInputs  # the users' histories and the contexts at the requests

    def __len__(self) -> int:
        return len(self.lists)

    def take(self, chosen: NDArray[np.generic]) -> RankerData:
        return RankerData(self.lists.take(chosen), self.query[chosen], self.user[chosen], self.user_inputs.take(chosen))


@dataclass(frozen=True, slots=True)
class TaskLabels:
    """What came of the lists: [B, L], and [B, 1] for what is one for a whole list."""

    valid: Tensor  # False for padding
    impression: Tensor  # whether it was shown
    position: Tensor  # 0 where not shown
    surface: Tensor  # [B, 1] 1 in a search
    weight: Tensor  # [B, 1] how many requests a list stands for
    sampled: Tensor  # [B, 1] the share that the unwanted candidates of a visit are of those that recall brought
    has_query: Tensor  # [B, 1] 1 where there is a query vector: of a query, or of an item to find others like
    clicked: Tensor
    carted: Tensor
    purchased: Tensor
    gain: Tensor

    def to(self, device: torch.device) -> TaskLabels:
        return TaskLabels(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(frozen=True, slots=True)
class Batch:
    inputs: RankerInputs
    labels: TaskLabels

    def to(self, device: torch.device) -> Batch:
        return Batch(self.inputs.to(device), self.labels.to(device))


def batch_of(data: RankerData, items: ItemVectors, chosen: NDArray[np.generic]) -> Batch:
    part = data.take(chosen)
    return Batch(_inputs(part, items), labels_of(part))


def labels_of(data: RankerData) -> TaskLabels:
    lists = data.lists
    outcome = lists.outcome
    return TaskLabels(
        valid=torch.from_numpy(lists.rows >= 0),
        impression=torch.from_numpy(lists.position >= 0),
        position=torch.from_numpy(np.maximum(lists.position, 0).astype(np.int64)),
        surface=torch.from_numpy(data.user_inputs.context[:, _IS_SEARCH : _IS_SEARCH + 1].astype(np.int64)),
        weight=_floats(lists.weight[:, None]),
        sampled=_floats(lists.sampled[:, None]),
        has_query=_floats(data.query.any(1, keepdims=True)),
        clicked=_floats(outcome > 0),
        carted=_floats(CARTED[outcome]),
        purchased=_floats(PURCHASED[outcome]),
        gain=_floats(GAIN[outcome]),
    )


def _floats(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _inputs(part: RankerData, items: ItemVectors) -> RankerInputs:
    lists, users = part.lists, part.user_inputs
    valid = lists.rows >= 0
    rows = np.where(valid, lists.rows, 0)
    return RankerInputs(
        query_vector=_floats(part.query),
        query_present=_floats(part.query.any(1, keepdims=True)),
        user_vector=_floats(part.user),
        user_present=_floats(part.user.any(1, keepdims=True)),
        context=_floats(users.context),
        history_vectors=_floats(history_vectors(users.rows, items.vectors)),
        history_events=torch.from_numpy(users.events),
        history_gaps=_floats(users.gaps),
        history_mask=_floats(users.mask),
        item_vectors=_floats(items.vectors[rows]),
        modality_vectors=_floats(items.tokens[rows]),
        modality_mask=_floats(items.mask[rows]),
        channel_scores=_floats(lists.channel_scores),
        channel_mask=_floats(lists.channel_mask),
        features=_floats(lists.features),
        candidate_mask=_floats(valid),
    )


def batches(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)


def drop_inputs(inputs: RankerInputs, random: torch.Generator, rate: float, noise: float = 0.0) -> RankerInputs:
    """The batch with some modalities, channels, users and events of histories missing, as they will be when served.

    A whole request loses the semantic and behaviour channels together: that is what RankItems looks like. `noise` is
    the length of what is added to the vectors, which are of length 1: those of the next training lie elsewhere.
    """
    mask = inputs.modality_mask
    batch, length, modalities = mask.shape

    def keep(*shape: int) -> Tensor:
        return (torch.rand(*shape, generator=random) >= rate).float()

    def blurred(vectors: Tensor) -> Tensor:
        return vectors + torch.randn(vectors.shape, generator=random) * (noise / math.sqrt(VECTOR))

    kept = mask * keep(batch, length, modalities)
    known = keep(batch, 1)
    return inputs._replace(
        query_vector=blurred(inputs.query_vector),
        user_vector=blurred(inputs.user_vector),
        item_vectors=blurred(inputs.item_vectors),
        modality_mask=torch.where(kept.sum(-1, keepdim=True) > 0, kept, mask),
        channel_mask=inputs.channel_mask * _kept_channels(inputs.channel_mask, keep),
        user_present=inputs.user_present * known,
        history_mask=inputs.history_mask * known * keep(*inputs.history_mask.shape),
    )


def _kept_channels(mask: Tensor, keep: Callable[..., Tensor]) -> Tensor:
    batch, _, channels = mask.shape
    others = torch.ones(channels)
    others[[CHANNEL_COLUMN["semantic"], CHANNEL_COLUMN["behaviour"]]] = 0.0
    return keep(batch, 1, channels) * torch.maximum(keep(batch, 1, 1), others)
