"""Trains the embedded image encoder by contrast: an image against another view of it, against other images of its
item, against images that the same shopper engaged with in the same session, and against the items' texts.

Views teach what an image shows, other images what an item looks like elsewhere than in the studio, co-engagement
which of that shoppers care about, and texts what it is called (Radford et al., 2021, with a text encoder that is given
and stays as it is). Photos of items are optional, and so are shoppers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from shopfuse.core.progress import Progress, silent
from shopfuse.ranking.tensors import D_IMAGE
from shopfuse.training.examples.image_views import CLOSE, Changes, views
from shopfuse.training.models.image_encoder import ImageEncoder
from shopfuse.training.trainers.loop import Schedule, best_hardware, fit

STAGE = "train image encoder"
_NEVER = -1e4


@dataclass(frozen=True, slots=True)
class ImageTraining:
    """Every image is looked at about `looks` times, but no more than `most_looks` images in all."""

    looks: int = 8
    most_looks: int = 24_000
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    temperature: float = 0.1
    text_loss: float = 0.5  # weight beside the loss between images
    texts: int = 512  # that an image's text is told from
    pair_share: float = 0.5  # of the positives that are another image: of the item, or engaged with beside it
    mixed_share: float = 0.0  # of the batches whose images are laid over each other (mixup, Zhang et al., 2018)
    small_share: float = 0.0  # of the steps, the first ones, that see images at half the side: a quarter of the cost
    blocks: int = 0  # of the encoder's stages
    changes: Changes = CLOSE


# For shops with labelled photos: more looks at wilder views, most of them at half the side.
WITH_PHOTOS = ImageTraining(
    looks=24,
    most_looks=400_000,
    batch=64,
    weight_decay=0.05,
    text_loss=2.0,
    mixed_share=0.5,
    small_share=0.75,
    blocks=1,
    changes=Changes(smallest_cut=0.4, turn=20.0, stretch=0.2, light=0.1, brightness=0.3, contrast=0.3, saturation=0.3),
)


@dataclass(frozen=True, slots=True)
class Images:
    """What is learned from: images, the item that each shows, and what is known of the items [N]."""

    pixels: NDArray[np.uint8]  # [n, 64, 64, 3]
    owner: NDArray[np.int64]  # [n] rows of items
    texts: NDArray[np.float32]  # [N, D_TEXT] embeddings, zeros where an item has no text
    pairs: NDArray[np.int64]  # [p, 2] rows of items that one shopper engaged with in one session; may be none

    def __len__(self) -> int:
        return len(self.pixels)


def train_image_encoder(
    images: Images, *, seed: int, settings: ImageTraining | None = None, progress: Progress = silent
) -> tuple[ImageEncoder, dict[str, Any]]:
    """An encoder for images like these, and its metrics."""
    settings = settings or ImageTraining()
    torch.manual_seed(seed)
    heads = _Heads(images.texts.shape[1], settings)
    encoder = ImageEncoder(settings.blocks)
    steps = max(1, min(settings.most_looks, settings.looks * len(images)) // (2 * settings.batch))
    schedule = Schedule(STAGE, 1, steps, settings.learning_rate, settings.weight_decay)
    draw = _Draw(images, settings, torch.Generator().manual_seed(seed))

    def loss(batch: _Batch) -> Tensor:
        return heads.loss(encoder(torch.cat([batch.first, batch.second])), batch)

    modules: dict[str, nn.Module] = {"encoder": encoder, "heads": heads}
    history = fit(modules, schedule, lambda _: draw.batches(steps), loss, progress=progress)
    return encoder.eval(), {"image_loss": history.training[-1], "image_steps": float(history.steps)}


@dataclass(frozen=True, slots=True)
class _Batch:
    first: Tensor  # [B, S, S, 3] views
    second: Tensor  # [B, S, S, 3] views of a positive
    first_owner: Tensor  # [B]
    second_owner: Tensor  # [B]
    other_owner: Tensor  # [B] of what is laid over the first, the first's own where nothing is
    share: float  # of the first in itself
    texts: Tensor  # [T, D_TEXT] of distinct items
    text_owner: Tensor  # [T]


class _Draw:
    """Draws batches: anchors evenly over the images, positives by the settings' shares."""

    def __init__(self, images: Images, settings: ImageTraining, random: torch.Generator) -> None:
        self._images, self._settings, self._random = images, settings, random
        self._device = best_hardware().device
        described = np.flatnonzero(images.texts.any(1))
        self._described = described if len(described) else np.zeros(1, np.int64)  # one text cannot be told apart
        order = np.argsort(images.owner, kind="stable")
        self._by_owner, self._starts = order, np.searchsorted(images.owner[order], np.arange(len(images.texts) + 1))
        seen = np.diff(self._starts) > 0
        self._pairs = images.pairs[seen[images.pairs].all(1)]

    def batches(self, steps: int) -> Iterator[_Batch]:
        full = self._images.pixels.shape[1]
        for step in range(steps):
            yield self._batch(full // 2 if step < self._settings.small_share * steps else full)

    def _batch(self, size: int) -> _Batch:
        owner = self._images.owner
        first, second = self._positives()
        views_of_first, other, share = self._mixed(self._views(first, size), first)
        texts = self._texts(np.concatenate([owner[first], owner[second]]))
        rows = (owner[first], owner[second], owner[other], texts)
        first_owner, second_owner, other_owner, text_owner = (torch.from_numpy(row).to(self._device) for row in rows)
        described = torch.from_numpy(self._images.texts[texts]).to(self._device)
        return _Batch(
            views_of_first.to(self._device),
            self._views(second, size).to(self._device),
            first_owner,
            second_owner,
            other_owner,
            share,
            described,
            text_owner,
        )

    def _positives(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Anchors and their positives, [batch] each: another image of the item, one of an item engaged with beside
        it, or the same."""
        batch, random = self._settings.batch, self._random
        first = torch.randint(len(self._images), (batch,), generator=random).numpy()
        second = self._any_of(self._images.owner[first])
        if len(self._pairs):
            drawn = self._pairs[torch.randint(len(self._pairs), (batch,), generator=random).numpy()]
            paired = torch.rand(batch, generator=random).numpy() < self._settings.pair_share
            first = np.where(paired, self._any_of(drawn[:, 0]), first)
            second = np.where(paired, self._any_of(drawn[:, 1]), second)
        return first, second

    def _any_of(self, owners: NDArray[np.int64]) -> NDArray[np.int64]:
        """A random image of each of these items."""
        starts, counts = self._starts[owners], self._starts[owners + 1] - self._starts[owners]
        chosen = (torch.rand(len(owners), generator=self._random).numpy() * counts).astype(np.int64)
        rows: NDArray[np.int64] = self._by_owner[starts + np.minimum(chosen, counts - 1)]
        return rows

    def _views(self, chosen: NDArray[np.int64], size: int) -> Tensor:
        return views(torch.from_numpy(self._images.pixels[chosen]), self._settings.changes, size, self._random)

    def _mixed(self, first: Tensor, chosen: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64], float]:
        """(images, what is laid over each, the share of its own in it)."""
        if float(torch.rand(1, generator=self._random)) >= self._settings.mixed_share:
            return first, chosen, 1.0
        share = 0.5 + 0.5 * float(torch.rand(1, generator=self._random))
        order = torch.randperm(len(first), generator=self._random)
        return share * first + (1 - share) * first[order], chosen[order.numpy()], share

    def _texts(self, owners: NDArray[np.int64]) -> NDArray[np.int64]:
        """Items whose texts are told apart: those of the batch, and others up to the settings' number."""
        if len(self._described) <= self._settings.texts:
            return self._described
        others = torch.randint(len(self._described), (self._settings.texts,), generator=self._random).numpy()
        chosen: NDArray[np.int64] = np.concatenate([np.intersect1d(owners, self._described), self._described[others]])
        return np.unique(chosen)


class _Heads(nn.Module):
    """What training reads the embeddings through, and serving does not."""

    def __init__(self, text_dim: int, settings: ImageTraining) -> None:
        super().__init__()
        self.text = nn.Linear(text_dim, D_IMAGE)
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        self._settings = settings

    def loss(self, vectors: Tensor, batch: _Batch) -> Tensor:
        """Of the embeddings [2 B, 128] of a batch's images, the first ones before the second ones."""
        half = len(vectors) // 2
        first, second = vectors[:half], vectors[half:]
        named = normalize(self.text(batch.texts), dim=-1)  # [T, 128]
        scale = self.log_scale.clamp(max=3.9).exp()
        by_text = [
            batch.share * _told_apart(scale * first @ named.T, batch.first_owner, batch.text_owner),
            (1 - batch.share) * _told_apart(scale * first @ named.T, batch.other_owner, batch.text_owner),
            _told_apart(scale * second @ named.T, batch.second_owner, batch.text_owner),
        ]
        settings = self._settings
        between = _contrast(first, second, batch.first_owner, batch.second_owner, settings.temperature)
        return batch.share * between + settings.text_loss * (by_text[0] + by_text[1] + by_text[2]) / 2


def _told_apart(logits: Tensor, owner: Tensor, text_owner: Tensor) -> Tensor:
    """Cross entropy of the texts [B, T] of the images' own items; images of items without a text do not count."""
    hit = owner[:, None] == text_owner[None, :]
    counted = hit.any(1).float()
    losses = cross_entropy(logits, hit.float().argmax(1), reduction="none")
    return (losses * counted).sum() / counted.sum().clamp(min=1.0)


def _contrast(first: Tensor, second: Tensor, first_owner: Tensor, second_owner: Tensor, temperature: float) -> Tensor:
    """InfoNCE both ways (van den Oord et al., 2018); other images of an item elsewhere in the batch are no
    negatives of it."""
    logits = first @ second.T / temperature
    same = (first_owner[:, None] == second_owner[None, :]) | (second_owner[:, None] == second_owner[None, :])
    same = same & ~torch.eye(len(first), dtype=torch.bool, device=first.device)
    logits = logits.masked_fill(same, _NEVER)
    target = torch.arange(len(first), device=first.device)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
