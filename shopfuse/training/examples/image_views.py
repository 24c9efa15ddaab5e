"""Altered views of images, for training: what must not change which product an image shows.

Each image is cut, turned and lit in its own way, from its own random numbers. Nothing here is used in serving.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


@dataclass(frozen=True, slots=True)
class Changes:
    """How far a view may be from its image."""

    smallest_cut: float = 0.5  # side of a cut-out as a share of the image's
    largest_cut: float = 1.0
    turn: float = 0.0  # degrees either way
    stretch: float = 0.0  # of one side against the other
    light: float = 0.08  # how far each colour channel is raised or lowered
    brightness: float = 0.0  # how far all of them are, together
    contrast: float = 0.0
    saturation: float = 0.0


CLOSE = Changes()  # what may happen to a studio image


def views(pixels: Tensor, changes: Changes, size: int, random: torch.Generator) -> Tensor:
    """Cut-outs of uint8 [n, S, S, 3], half of them mirrored, in other light: float [n, size, size, 3]."""
    image = pixels.permute(0, 3, 1, 2).float()  # [n, 3, S, S]
    grid = affine_grid(_cuts(len(pixels), changes, random), [len(pixels), 3, size, size], align_corners=False)
    cut = grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return _lit(cut, changes, random).clamp(0, 255).permute(0, 2, 3, 1)


def _cuts(count: int, changes: Changes, random: torch.Generator) -> Tensor:
    """Affine maps [n, 2, 3] from places of the view to places of the image, both -1..1."""

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=random)

    side = drawn(changes.smallest_cut, changes.largest_cut)
    stretch = torch.exp(drawn(-changes.stretch, changes.stretch))
    turn = drawn(-1.0, 1.0) * math.radians(changes.turn)
    mirror = torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0)
    left, top = ((1 - side).clamp(min=0) * drawn(-1.0, 1.0) for _ in range(2))
    wide, high = side * stretch.sqrt(), side / stretch.sqrt()
    across = torch.stack([wide * turn.cos() * mirror, -high * turn.sin(), left], dim=1)
    down = torch.stack([wide * turn.sin() * mirror, high * turn.cos(), top], dim=1)
    return torch.stack([across, down], dim=1)


def _lit(image: Tensor, changes: Changes, random: torch.Generator) -> Tensor:
    """In light of another colour and strength; colours themselves stay, for shoppers choose by them."""
    count = len(image)

    def around_one(reach: float, channels: int = 1) -> Tensor:
        return 1 + reach * (2 * torch.rand(count, channels, 1, 1, generator=random) - 1)

    image = image * around_one(changes.light, 3)
    if changes.brightness:
        image = image * around_one(changes.brightness)
    if changes.contrast:
        middle = image.mean((1, 2, 3), keepdim=True)
        image = middle + (image - middle) * around_one(changes.contrast)
    if changes.saturation:
        grey = image.mean(1, keepdim=True)
        image = grey + (image - grey) * around_one(changes.saturation)
    return image
