"""Trains a text encoder on the shop's own texts by contrast: what is typed lies near its item, far from the others.

InfoNCE over the items of a batch (van den Oord et al., 2018), both ways. Batches are made of handfuls of one category,
so that some of the others are hard to tell from the right one. An item that holds all that was typed is no wrong
answer, and is left out. Half of the time the item loses what was typed of it, so that the rest has to tell.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import cross_entropy

from shopfuse.core.progress import Progress, silent
from shopfuse.training.distributed.devices import device_of
from shopfuse.training.examples.text_pairs import TextPairs, drawn_query
from shopfuse.training.models.subword_encoder import SubwordEncoder, SubwordTable, directions
from shopfuse.training.models.subwords import learn_tokenizer
from shopfuse.training.trainers.loop import Schedule, fit

STAGE = "train text encoder"
TOLD_APART = -1e4  # a logit that counts for nothing
Tokens = list[list[int]]


@dataclass(frozen=True, slots=True)
class SubwordTraining:
    pieces: int = 16_000
    dims: int = 128
    batch: int = 256
    looks: int = 5  # at each item, on average, within the bounds of `steps`
    steps: tuple[int, int] = (250, 1500)
    handful: int = 8  # items of one category that stand together in a batch
    learning_rate: float = 5e-3
    weight_decay: float = 0.01
    temperature: float = 0.07
    lose_typed: float = 0.5  # how often an item loses what was typed of it
    lose_any: float = 0.2  # of an item's other pieces
    most_pieces: int = 96  # of an item that are read


@dataclass(frozen=True, slots=True)
class TrainedEncoder:
    encoder: SubwordEncoder
    tokenizer: Tokenizer
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Batch:
    typed: Tokens
    items: Tokens
    also_right: NDArray[np.bool_]  # [typed, items]


def train_subword_encoder(
    pairs: TextPairs, *, seed: int, training: SubwordTraining | None = None, progress: Progress = silent
) -> TrainedEncoder:
    """The same for the same pairs and seed, on a CPU."""
    training, started = training or SubwordTraining(), time.perf_counter()
    torch.manual_seed(seed)
    searches = (search for item in pairs.items for search in item.searches)
    tokenizer = learn_tokenizer((text for part in (pairs.texts, searches) for text in part), training.pieces)
    draws = _Draws(pairs, tokenizer, training, seed)
    table = SubwordTable(tokenizer, torch.from_numpy(draws.frequency), training.dims)

    def loss(batch: _Batch) -> Tensor:
        rows = table()
        cosines = directions(rows, batch.typed) @ directions(rows, batch.items).T
        right = torch.from_numpy(batch.also_right).to(device_of(table))
        logits = (cosines / training.temperature).masked_fill(right, TOLD_APART)
        target = torch.arange(len(logits), device=logits.device)
        return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2

    fewest, most = training.steps
    steps = int(np.clip(training.looks * len(pairs) // training.batch, fewest, most))
    schedule = Schedule(STAGE, 1, steps, training.learning_rate, training.weight_decay)
    history = fit({"table": table}, schedule, lambda _: draws.batches(steps), loss, progress=progress)
    metrics = {
        **history.metrics("text_encoder"),
        "items": len(pairs),
        "searches": sum(len(item.searches) for item in pairs.items),
        "pieces": tokenizer.get_vocab_size(),
        "training": asdict(training),
        "seconds": round(time.perf_counter() - started, 2),
    }
    return TrainedEncoder(table.encoder(), tokenizer, metrics)


class _Draws:
    """The batches of one training."""

    def __init__(self, pairs: TextPairs, tokenizer: Tokenizer, training: SubwordTraining, seed: int) -> None:
        self._pairs, self._tokenizer, self._training = pairs, tokenizer, training
        self._draw = np.random.default_rng(seed)
        self._texts = [ids[: training.most_pieces] for ids in self._tokens(pairs.texts)]
        self._pieces = tokenizer.get_vocab_size()

    @property
    def frequency(self) -> NDArray[np.float32]:
        """The share of the texts that hold each piece, [V]."""
        held = np.concatenate([np.unique(np.array(ids, np.int64)) for ids in self._texts])
        counts: NDArray[np.float32] = np.bincount(held, minlength=self._pieces).astype(np.float32)
        return counts / np.float32(max(len(self._texts), 1))

    def batches(self, steps: int) -> Iterator[_Batch]:
        order = np.zeros(0, np.int64)
        size = min(self._training.batch, len(self._pairs))
        for _ in range(steps):
            if len(order) < size:
                order = self._handfuls()
            yield self._batch(order[:size].tolist())
            order = order[size:]

    def _handfuls(self) -> NDArray[np.int64]:
        """All items once, mixed, but with some of one category beside each other."""
        mixed = self._draw.permutation(len(self._pairs))
        mixed = mixed[np.argsort(self._pairs.category[mixed], kind="stable")]
        bounds = np.arange(self._training.handful, len(mixed), self._training.handful)
        handfuls = np.split(mixed, bounds)
        return np.concatenate([handfuls[at] for at in self._draw.permutation(len(handfuls))])

    def _batch(self, rows: list[int]) -> _Batch:
        typed = self._tokens([drawn_query(self._pairs.items[row], self._draw) for row in rows])
        loses = self._draw.random(len(rows)) < self._training.lose_typed
        items = [self._left(row, ids if lost else ()) for row, ids, lost in zip(rows, typed, loses, strict=True)]
        return _Batch(typed, items, self._also_right(rows, typed))

    def _left(self, row: int, lost: Sequence[int]) -> list[int]:
        """The pieces of an item without the lost ones and some others; all, where nothing would be left."""
        ids, gone = self._texts[row], set(lost)
        kept = self._draw.random(len(ids)) >= self._training.lose_any
        return [number for number, keep in zip(ids, kept.tolist(), strict=True) if keep and number not in gone] or ids

    def _also_right(self, rows: list[int], typed: Tokens) -> NDArray[np.bool_]:
        """Which of the batch's other items hold all pieces of what was typed."""
        held = np.zeros((len(rows), self._pieces), np.bool_)
        for place, row in enumerate(rows):
            held[place, self._texts[row]] = True
        right: NDArray[np.bool_] = np.stack([held[:, ids].all(1) for ids in typed])
        np.fill_diagonal(right, False)
        return right

    def _tokens(self, texts: Sequence[str]) -> Tokens:
        return [encoded.ids for encoded in self._tokenizer.encode_batch_fast(list(texts))]
