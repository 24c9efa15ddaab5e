"""What the towers learn from every history: after each entry, which item came next?

Any engaged event counts, by the weight of its kind; nothing need have been shown or searched for. Histories are cut
into windows, which a batch pads to the longest of its own: no example is held in memory before its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.ranking.features import moment_features
from shopfuse.ranking.user_state import EVENT_WEIGHT, MAX_HISTORY
from shopfuse.training.data.user_histories import UserHistories

MOST_TARGETS = 4096  # of a batch: where histories are long its places tell much the same
MODALITY_SHARE = 4  # of so many places one says what is asked of each modality alone
POOL = 16  # batches whose windows are sorted by length together
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows [w] of consecutive events of one user: those from `starts` up to `ends` of the events, oldest first. What
    comes next is a product, what came before are the variants that they were.

    The columns are of all events [e] by user, then time. Only events at `since` or later are targets.
    """

    row: NDArray[np.int32]
    variant: NDArray[np.int32]
    kind: NDArray[np.int8]
    at: NDArray[np.float64]
    scene: NDArray[np.int8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    since: float = -np.inf

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.ends - self.starts

    def take(self, chosen: NDArray[np.generic]) -> Windows:
        return replace(self, starts=self.starts[chosen], ends=self.ends[chosen])

    def batches(self, size: int, random: np.random.Generator) -> Iterator[Windows]:
        """Every window once, those of like length together, in random order."""
        order = random.permutation(len(self))
        batches = []
        for start in range(0, len(order), POOL * size):
            pool = order[start : start + POOL * size]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            batches += [pool[at : at + size] for at in range(0, len(pool), size)]
        for at in random.permutation(len(batches)):
            yield self.take(batches[at])


def windows_before(histories: UserHistories, until: float, most: int) -> Windows:
    """Every history before `until` in windows of MAX_HISTORY + 1 events, of which the first is the last one's last:
    so each event but a user's first is a target once. The newest `most` windows of a larger shop."""
    starts, ends = _spans(histories, until)
    counts = np.maximum(-(-(ends - starts - 1) // MAX_HISTORY), 0)
    owner = np.repeat(np.arange(len(starts)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    last = ends[owner] - place * MAX_HISTORY  # cut from the newest event backwards
    first = np.maximum(last - MAX_HISTORY - 1, starts[owner])
    windows = _windows(histories, first, last)
    newest = np.argsort(-windows.at[windows.ends - 1], kind="stable")[:most]
    return windows.take(np.sort(newest))


def windows_since(histories: UserHistories, since: float, until: float, most: int, seed: int = 0) -> Windows:
    """What users did next after `since`: at most `most` windows that end with a user's first visits after it."""
    starts, ends = _spans(histories, since)
    _, after = _spans(histories, until)
    last = np.minimum(after, ends + MAX_HISTORY // 2)
    first = np.maximum(starts, last - MAX_HISTORY - 1)
    usable = np.flatnonzero((last > ends) & (ends > starts))
    chosen = np.random.default_rng(seed).permutation(usable)[:most]
    return replace(_windows(histories, first[chosen], last[chosen]), since=since)


def _spans(histories: UserHistories, until: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each user's events before `until` lie."""
    starts, ends = histories.starts[:-1], histories.starts[1:]
    counted = np.concatenate([[0], np.cumsum(histories.events.at < until)])
    return starts, starts + counted[ends] - counted[starts]


def _windows(histories: UserHistories, first: NDArray[np.int64], last: NDArray[np.int64]) -> Windows:
    events = histories.events
    return Windows(events.row, histories.variants, events.kind, events.at, events.scene, first, last)


@dataclass(frozen=True, slots=True)
class NextItemBatch:
    """Windows as tensors, padded in front. `rows` [U] are the distinct items; what is a place is a place among them."""

    rows: Tensor
    history: Tensor  # [B, L] places, U pads
    events: Tensor  # [B, L]
    steps: Tensor  # [B, L] log1p(hours until the next event)
    mask: Tensor  # [B, L]
    contexts: Tensor  # [B, L, CONTEXT_FEATURES] of the next event's moment
    compared: Tensor  # [K] places of the items that targets are compared with
    correction: Tensor  # [K] added to their logits: -log of how likely each is to be compared with
    target: Tensor  # [B, L] place among `compared` of what came next, 0 where nothing did
    weight: Tensor  # [B, L] of the target, 1 in sum, 0 where there is none
    modality_weight: Tensor  # [B, L] the same of the places at which each modality is asked for alone

    def to(self, device: torch.device) -> NextItemBatch:
        return NextItemBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def shard(self, part: slice, world_size: int) -> NextItemBatch:
        """The windows `part`. Weights grow so that the mean over ranks is right."""
        if world_size == 1:
            return self
        of_windows = ("history", "events", "steps", "mask", "contexts", "target", "weight", "modality_weight")
        own = {name: getattr(self, name)[part] for name in of_windows}
        own |= {name: own[name] * world_size for name in ("weight", "modality_weight")}
        return replace(self, **own)


@dataclass(frozen=True, slots=True)
class NextItemSampler:
    """Draws the products that targets are compared with: `count` of all, evenly, and the batch's own targets.

    Their logits are raised by -log of how likely each is to be there (the logQ correction of Bengio and Senecal, 2008),
    so that the softmax over them is, on average, the one over all products.
    """

    frequency: NDArray[np.float32]  # [N] how likely a target is to be each item
    products: NDArray[np.int32]  # [P] the rows that stand for one
    count: int

    @classmethod
    def of(cls, windows: Windows, product: NDArray[np.int32], count: int) -> NextItemSampler:
        """`product` [N]: the row that stands for each item's product."""
        counts = np.bincount(windows.row, minlength=len(product)).astype(np.float32)
        products = np.unique(product)
        return cls(counts / max(float(counts.sum()), 1.0), products, min(count, len(products)))

    def batch(self, windows: Windows, random: np.random.Generator) -> NextItemBatch:
        lengths = windows.lengths
        length = max(int(lengths.max(initial=2)) - 1, 1)
        places = windows.ends[:, None] - 1 - np.arange(length, 0, -1)  # [B, L] of the entries, oldest first
        mask = places >= windows.starts[:, None]
        entry = np.where(mask, places, 0)
        following = np.where(mask, places + 1, 0)
        item, target = windows.variant[entry], windows.row[following]
        wanted = _some(mask & (target != windows.row[entry]) & (windows.at[following] >= windows.since), random)
        weight = np.where(wanted, EVENT_WEIGHT[windows.kind[following]], 0.0).astype(np.float32)
        some = wanted & (np.cumsum(wanted).reshape(wanted.shape) % MODALITY_SHARE == 1)
        compared = np.unique(np.concatenate([target[wanted], self._drawn(random)]))
        rows, place = np.unique(np.concatenate([compared, item[mask]]), return_inverse=True)
        history = np.full(mask.shape, len(rows), np.int64)
        history[mask] = place[len(compared) :]
        steps = np.log1p(np.maximum(windows.at[following] - windows.at[entry], 0.0) / HOUR_S) * mask
        known = np.cumsum(mask, axis=1, dtype=np.int64)
        contexts = moment_features(windows.at[following].ravel(), known.ravel(), windows.scene[following].ravel())
        return NextItemBatch(
            rows=torch.from_numpy(rows.astype(np.int64)),
            history=torch.from_numpy(history),
            events=torch.from_numpy(np.where(mask, windows.kind[entry], 0).astype(np.int64)),
            steps=torch.from_numpy(steps.astype(np.float32)),
            mask=torch.from_numpy(mask.astype(np.float32)),
            contexts=torch.from_numpy(contexts.reshape(*mask.shape, -1)),
            compared=torch.from_numpy(place[: len(compared)].astype(np.int64)),
            correction=torch.from_numpy(self._correction(compared, int(wanted.sum()))),
            target=torch.from_numpy(np.where(wanted, np.searchsorted(compared, target), 0)),
            weight=_shares(weight),
            modality_weight=_shares(np.where(some, weight, 0.0)),
        )

    def _drawn(self, random: np.random.Generator) -> NDArray[np.int32]:
        if self.count == len(self.products):
            return self.products
        drawn: NDArray[np.int32] = self.products[random.integers(0, len(self.products), self.count)]
        return drawn

    def _correction(self, compared: NDArray[np.int32], targets: int) -> NDArray[np.float32]:
        if self.count == len(self.products):
            return np.zeros(len(compared), np.float32)
        missed = (1 - 1 / len(self.products)) ** self.count * np.exp(-targets * self.frequency[compared])
        correction: NDArray[np.float32] = -np.log1p(-missed).astype(np.float32)
        return correction


def _shares(weight: NDArray[np.floating[Any]]) -> Tensor:
    return torch.from_numpy((weight / max(float(weight.sum()), 1e-9)).astype(np.float32))


def _some(wanted: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.bool_]:
    """MOST_TARGETS of the places, where there are more."""
    places = np.flatnonzero(wanted)
    if len(places) <= MOST_TARGETS:
        return wanted
    kept = np.zeros_like(wanted)
    kept.flat[random.choice(places, MOST_TARGETS, replace=False)] = True
    return kept
