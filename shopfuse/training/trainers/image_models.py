"""What a shop's pictures add to its models: image encoder and picture tower, as fields of ShopModels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.training.models.picture_tower import fit_picture_tower
from shopfuse.training.trainers.shop_images import ShopImages


def picture_models(images: ShopImages, item_vectors: NDArray[np.float32]) -> dict[str, Any]:
    """The fields, by name; `item_vectors` [N, 128] are what the picture tower is fitted to."""
    seen = images.present
    return {
        "image_encoder": images.encoder.eval(),
        "picture_tower": fit_picture_tower(images.vectors[seen], item_vectors[seen]),
        "image_dim": images.encoder.image_dim,
        "image_size": images.encoder.image_size,
        "image_source": images.source,
    }
