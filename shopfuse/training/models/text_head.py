"""A head on the text encoder: a text's embedding to the probabilities of its labels, calibrated by one temperature."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class TextHead(nn.Module):
    """[B, dims] -> [B, labels]. Multinomial logistic regression, or one hidden layer where `hidden` is not 0.

    Embeddings have length 1; they are scaled to unit variance a number, so that weights start where they should end.
    """

    temperature: Tensor

    def __init__(self, dims: int, labels: int, hidden: int = 0, dropout: float = 0.2) -> None:
        super().__init__()
        self.scale = math.sqrt(dims)
        self.inner = nn.Sequential(nn.Linear(dims, hidden), nn.GELU(), nn.Dropout(dropout)) if hidden else None
        self.out = nn.Linear(hidden or dims, labels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("temperature", torch.ones(()))

    def logits(self, text_embedding: Tensor) -> Tensor:
        """Before the temperature."""
        x = text_embedding * self.scale
        logits: Tensor = self.out(x if self.inner is None else self.inner(x))
        return logits

    def forward(self, text_embedding: Tensor) -> Tensor:
        return torch.softmax(self.logits(text_embedding) / self.temperature, dim=-1)


def empty_head(weights: Mapping[str, Tensor]) -> TextHead:
    """A head as wide as its weights. Raises KeyError where a weight is missing."""
    labels, width = weights["out.weight"].shape
    if "inner.0.weight" in weights:
        hidden, dims = weights["inner.0.weight"].shape
        return TextHead(dims, labels, hidden)
    return TextHead(width, labels)
