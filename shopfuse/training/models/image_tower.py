"""The image tower: what a shopper's image asks for, in the space of the items' vectors.

Shops log no searches by image to learn from. So the tower is fitted to what the item tower says of the catalogue's
own images: an image's vector is the middle of the items that look like it. Trained and fitted item towers alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.ranking.tensors import VECTOR
from shopfuse.training.models.ridge import fit_linear


class ImageTower(nn.Module):
    """image_embedding [B, D_IMAGE] -> image_vector [B, 128], L2-normalised."""

    def __init__(self, image_dim: int) -> None:
        super().__init__()
        self.projection = nn.Linear(image_dim, VECTOR)

    def forward(self, image_embedding: Tensor) -> Tensor:
        return normalize(self.projection(image_embedding), dim=-1)


def fit_image_tower(image_vectors: NDArray[np.float32], item_vectors: NDArray[np.float32]) -> ImageTower:
    """The tower that comes nearest to `item_vectors` [n, 128] from the same items' image vectors [n, D_IMAGE].

    Raises ValueError without an image.
    """
    if len(image_vectors) == 0:
        raise ValueError("an image tower needs items with images")
    tower = ImageTower(image_vectors.shape[1])
    fit_linear(tower.projection, image_vectors, item_vectors)
    return tower.eval()
