"""What a shop's images add to its models: image encoder and image tower, as fields of ShopModels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.training.models.image_tower import fit_image_tower
from shopfuse.training.trainers.shop_images import ShopImages


def image_models(images: ShopImages, item_vectors: NDArray[np.float32]) -> dict[str, Any]:
    """The fields, by name; `item_vectors` [N, 128] are what the image tower is fitted to."""
    seen = images.present
    return {
        "image_encoder": images.encoder.eval(),
        "image_tower": fit_image_tower(images.vectors[seen], item_vectors[seen]),
        "image_dim": images.encoder.image_dim,
        "image_size": images.encoder.image_size,
        "image_source": images.source,
    }
