"""The fused row ranks as the product does: channels name candidates, and a stacked ranker orders them.

Each channel scores every item; the candidates of a user are the items that the channels together place highest. What
no channel names is not ranked, so this can only lose against ranking everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.training.sequences.item_profiles import ItemProfiles
from shopfuse.training.sequences.scoring import Scores, blocks, without_seen
from shopfuse.training.sequences.split import Cases

NAMED = 100  # items that a channel names
KEPT = 192  # candidates of a user
_VOTE = 10.0  # a vote is 1 / (_VOTE + rank)
_LEAST = 1e-3  # of a score that is a count, before its logarithm

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SequenceCandidates:
    """Up to KEPT items of each user with their features; `place` is that of the target among them, -1 where missed."""

    items: NDArray[np.int32]  # [U, C], -1 pads
    features: FloatArray  # [U, C, F]
    place: NDArray[np.int64]  # [U]

    def __len__(self) -> int:
        return len(self.items)


def find_candidates(channels: Mapping[str, Scores], cases: Cases, profiles: ItemProfiles) -> SequenceCandidates:
    """The candidates of every case. Channels whose scores are log probabilities are negative, the others are not."""
    parts = [_block(channels, block, profiles) for _, block in blocks(cases)]
    return SequenceCandidates(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _block(
    channels: Mapping[str, Scores], block: Cases, profiles: ItemProfiles
) -> tuple[NDArray[np.int32], FloatArray, NDArray[np.int64]]:
    scored = [without_seen(scores(block.inputs), block.inputs) for scores in channels.values()]
    items = _voted(scored)
    known = items >= 0
    rows = np.arange(len(items))[:, None]
    columns = []
    for scores in scored:
        of_items = np.where(known, scores[rows, items], -np.inf)
        columns += [_logarithm(of_items), -np.log1p(_ranks(of_items))]
    columns += profiles.features(block.inputs, items)
    hit = (items == block.targets[:, None]) & known
    place = np.where(hit.any(1), hit.argmax(1), -1)
    return items, np.stack(columns, axis=-1).astype(np.float32), place


def _voted(scored: list[FloatArray]) -> NDArray[np.int32]:
    """The KEPT items with the most votes, [U, KEPT]; -1 where fewer have one."""
    votes = np.zeros_like(scored[0])
    rows = np.arange(len(votes))[:, None]
    for scores in scored:
        named = _top(scores, NAMED)
        real = ~np.isneginf(scores[rows, named]) & (scores[rows, named] != 0)
        votes[rows, named] += real / (_VOTE + np.arange(named.shape[1]))
    best = _top(votes, KEPT)
    kept: NDArray[np.int32] = np.where(votes[rows, best] > 0, best, -1).astype(np.int32)
    return kept


def _top(scores: FloatArray, count: int) -> NDArray[np.int64]:
    """Places of the `count` best of each row, best first."""
    count = min(count, scores.shape[1])
    best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
    return np.take_along_axis(best, order, 1)


def _ranks(scores: FloatArray) -> NDArray[np.int64]:
    """Each one's place among its row, 0 for the best; ties share the first."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, 1)
    first = np.zeros_like(order)
    changes = ranked[:, 1:] != ranked[:, :-1]
    first[:, 1:] = np.maximum.accumulate(np.where(changes, np.arange(1, scores.shape[1]), 0), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, first, 1)
    return ranks


def _logarithm(scores: FloatArray) -> FloatArray:
    """Log probabilities as they are, counts through a logarithm; what is missing is the least of either."""
    logs: FloatArray = np.where(scores > 0, np.log(np.maximum(scores, 0) + _LEAST), scores)
    logs = np.where(scores == 0, np.log(_LEAST), logs)
    return np.maximum(logs, -20.0)
