"""Trains the image encoder by contrast: a picture against its own altered views, and against pictures that the same
shopper engaged with in the same session.

Views teach what a picture shows, co-engagement teaches which of that shoppers care about. No labels, no text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from shopfuse.ranking.progress import Progress, silent
from shopfuse.ranking.tensors import IMAGE_SIZE
from shopfuse.training.image_encoder import ImageEncoder
from shopfuse.training.learning_rate import warm_up_then_cosine

STAGE = "train image encoder"


@dataclass(frozen=True, slots=True)
class ImageTraining:
    """Every picture is looked at about `looks` times, but no more than `most_looks` pictures in all."""

    looks: int = 8
    most_looks: int = 24_000
    batch: int = 128
    learning_rate: float = 2e-3
    temperature: float = 0.1
    pair_share: float = 0.5  # of the positives that are a co-engaged picture instead of another view
    smallest_cut: float = 0.5  # side of a cut-out as a share of the picture's
    light: float = 0.08  # how far each colour channel is raised or lowered


def train_image_encoder(
    pixels: NDArray[np.uint8],
    pairs: NDArray[np.int64],
    *,
    seed: int,
    settings: ImageTraining | None = None,
    progress: Progress = silent,
) -> tuple[ImageEncoder, dict[str, float]]:
    """An encoder for pictures [n, 64, 64, 3] and its metrics. `pairs` [p, 2] index pictures; there may be none."""
    settings = settings or ImageTraining()
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    encoder = ImageEncoder()
    steps = max(1, min(settings.most_looks, settings.looks * len(pixels)) // (2 * settings.batch))
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=settings.learning_rate, weight_decay=0.02)
    schedule = warm_up_then_cosine(optimizer, steps)
    losses: list[float] = []
    for step in range(steps):
        first, second = _positives(len(pixels), pairs, settings, random)
        views = [_views(torch.from_numpy(pixels[chosen]), settings, random) for chosen in (first, second)]
        vectors = encoder(torch.cat(views))
        loss = _contrast(vectors[: len(first)], vectors[len(first) :], first, second, settings.temperature)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        progress(STAGE, step + 1, steps)
    return encoder.eval(), {"image_loss": float(np.mean(losses[-20:])), "image_steps": float(steps)}


def _positives(
    pictures: int, pairs: NDArray[np.int64], settings: ImageTraining, random: torch.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Anchors and their positives, [batch] each: the picture itself, or one co-engaged with it."""
    first = torch.randint(pictures, (settings.batch,), generator=random).numpy()
    second = first.copy()
    if len(pairs):
        drawn = pairs[torch.randint(len(pairs), (settings.batch,), generator=random).numpy()]
        paired = torch.rand(settings.batch, generator=random).numpy() < settings.pair_share
        first, second = np.where(paired, drawn[:, 0], first), np.where(paired, drawn[:, 1], second)
    return first, second


def _views(pixels: Tensor, settings: ImageTraining, random: torch.Generator) -> Tensor:
    """Cut-outs at another scale, mirrored, in slightly other light: [n, 64, 64, 3].

    A cut-out keeps colour and pattern and loses the outline, so that the outline alone cannot solve the task. Colours
    stay, for shoppers choose by them. All pictures of a call are cut alike: slices are much cheaper than gathers.
    """
    low = settings.smallest_cut
    side = int(IMAGE_SIZE * (low + (1 - low) * float(torch.rand(1, generator=random))))
    top, left = torch.randint(IMAGE_SIZE - side + 1, (2,), generator=random).tolist()
    cut = pixels.permute(0, 3, 1, 2)[:, :, top : top + side, left : left + side].float()
    cut = cut.flip(3) if float(torch.rand(1, generator=random)) < 0.5 else cut
    view = interpolate(cut, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", align_corners=False)
    light = 1 + settings.light * (2 * torch.rand(len(pixels), 3, 1, 1, generator=random) - 1)
    return (view * light).clamp(0, 255).permute(0, 2, 3, 1)


def _contrast(
    first: Tensor, second: Tensor, first_rows: NDArray[np.int64], second_rows: NDArray[np.int64], temperature: float
) -> Tensor:
    """InfoNCE both ways (van den Oord et al., 2018); the same picture elsewhere in the batch is no negative."""
    logits = first @ second.T / temperature
    same = torch.from_numpy((first_rows[:, None] == second_rows[None, :]) | (second_rows[:, None] == second_rows[None]))
    same.fill_diagonal_(False)
    logits = logits.masked_fill(same, -1e4)
    target = torch.arange(len(first))
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
