"""The image tower: what a shopper's image asks for, in the space of the items' vectors.

Shops log no searches by image to learn from. So the tower is fitted to what the item tower says of the catalogue's
own images: an image's vector is the middle of the items that look like it. Trained and fitted item towers alike.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.ranking.tensors import VECTOR

RIDGE = 1e-2  # times the images: few images say little about each direction


class ImageTower(nn.Module):
    """image_embedding [B, D_IMAGE] -> image_vector [B, 128], L2-normalised."""

    def __init__(self, image_dim: int) -> None:
        super().__init__()
        self.projection = nn.Linear(image_dim, VECTOR)

    def forward(self, image_embedding: Tensor) -> Tensor:
        return normalize(self.projection(image_embedding), dim=-1)


def fit_image_tower(image_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32]) -> ImageTower:
    """The tower that comes nearest to `item_vectors` [n, 128] from the same items' image vectors [n, D_IMAGE].

    Ridge regression around the means. Raises ValueError without an image.
    """
    if len(image_vectors) == 0:
        raise ValueError("an image tower needs items with images")
    images, wanted = image_vectors.astype(np.float64), item_vectors.astype(np.float64)
    middle, target = images.mean(0), wanted.mean(0)
    centred = images - middle
    gram = centred.T @ centred + RIDGE * len(images) * np.eye(images.shape[1])  # [D, D]
    weight = np.linalg.solve(gram, centred.T @ (wanted - target))  # [D, 128]
    tower = ImageTower(images.shape[1])
    with torch.no_grad():
        tower.projection.weight.copy_(torch.from_numpy(weight.T))
        tower.projection.bias.copy_(torch.from_numpy(target - middle @ weight))
    return tower.eval()
