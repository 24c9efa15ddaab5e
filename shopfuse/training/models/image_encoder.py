"""The embedded image encoder: a small vision transformer on a convolutional stem, trained from scratch on the shop.

No pretrained weights exist that a machine without internet could load, so it stays small enough to train in seconds;
with `blocks` it is deeper, for shops that have labelled photos to teach it more. Pretrained towers: vision_tower.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.ranking.tensors import D_IMAGE, IMAGE_SIZE

WIDTH = 96
_STEM = (3, 24, 48, WIDTH)
_SIDE = 8  # places a side, each of 8 x 8 pixels
_HEADS = 4
_LAYERS = 1


class ImageEncoder(nn.Module):
    """pixels uint8 [B, 64, 64, 3] -> image_embedding [B, 128], L2-normalised. Scaling of the pixels is in the graph.

    The head reads the mean and the spread over the image of every stage of the stem beside the transformer's tokens:
    colour and texture are such statistics, and hardly need training, while outlines do. `blocks` convolutions follow
    on each stage. In training, smaller images will do: [B, S, S, 3] for any S that 8 divides.
    """

    image_dim, image_size = D_IMAGE, IMAGE_SIZE

    def __init__(self, blocks: int = 0) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(narrow, wide, 3, stride=2, padding=1),
                nn.GroupNorm(4, wide),
                nn.GELU(),
                *(_Block(wide) for _ in range(blocks)),
            )
            for narrow, wide in pairwise(_STEM)
        )
        self.places = nn.Parameter(0.02 * torch.randn(1, _SIDE**2, WIDTH))
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        facts = 2 * sum(_STEM[1:]) + WIDTH
        self.scale = nn.BatchNorm1d(facts)
        self.head = nn.Linear(facts, D_IMAGE)

    def forward(self, pixels: Tensor) -> Tensor:
        # Numbers first: TensorRT takes bytes as an input, but moves none of them.
        image = pixels.float().permute(0, 3, 1, 2) / 127.5 - 1.0  # [B, 3, 64, 64]
        facts = []
        for stage in self.stages:
            image = stage(image)
            mean = image.mean((2, 3))
            spread = (image.square().mean((2, 3)) - mean.square()).clamp(min=0.0) + 1e-5
            facts += [mean, spread.sqrt()]
        tokens = image.flatten(2).transpose(1, 2) + self._places(image.shape[2])  # [B, 64, WIDTH]
        for layer in self.layers:
            tokens = layer(tokens)
        facts.append(tokens.mean(1))
        return normalize(self.head(self.scale(torch.cat(facts, dim=1))), dim=-1)

    def _places(self, side: int) -> Tensor:
        """What tells the places apart, [1, side * side, WIDTH]: those of a full image, or means of them."""
        if side == _SIDE:
            return self.places
        square = self.places.transpose(1, 2).reshape(1, WIDTH, _SIDE, _SIDE)  # [1, WIDTH, 8, 8]
        return nn.functional.adaptive_avg_pool2d(square, side).flatten(2).transpose(1, 2)


def blocks_of(weights: Mapping[str, Tensor]) -> int:
    """With how many blocks a stage an ImageEncoder of these weights was made."""
    return sum(name.startswith("stages.0.") and name.endswith(".convolution.weight") for name in weights)


class _Block(nn.Module):
    """A convolution beside the way past it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(4, width)

    def forward(self, image: Tensor) -> Tensor:
        passed: Tensor = image + nn.functional.gelu(self.norm(self.convolution(image)))
        return passed


class _Layer(nn.Module):
    """Pre-norm self-attention and a feed-forward net."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.mix = nn.Linear(WIDTH, 3 * WIDTH)
        self.joined = nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        batch, places, _ = tokens.shape
        heads = self.mix(self.attention_norm(tokens)).reshape(batch, places, 3, _HEADS, WIDTH // _HEADS)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)  # [B, heads, places, width]
        attention = torch.softmax(query @ key.transpose(-1, -2) * (WIDTH // _HEADS) ** -0.5, dim=-1)
        mixed = (attention @ value).transpose(1, 2).reshape(batch, places, WIDTH)
        tokens = tokens + self.joined(mixed)
        fed: Tensor = tokens + self.feed(tokens)
        return fed
