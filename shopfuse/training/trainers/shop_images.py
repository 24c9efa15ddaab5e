"""The image encoder of one shop, trained on its images or loaded, and the vectors of its catalogue's images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.tensors import IMAGE_SIZE
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import Events
from shopfuse.training.models.image_tower import fit_image_tower
from shopfuse.training.models.image_vectors import AnyEncoder, image_vectors, sample_images
from shopfuse.training.models.text_encoder import EMBEDDED
from shopfuse.training.models.vision_tower import load_vision_tower
from shopfuse.training.trainers.image_encoder import WITH_PHOTOS, Images, ImageTraining, train_image_encoder

_REACH = 4  # pairs an event with this many later events of its session, so that long sessions do not dominate
MAX_IMAGES = 20_000  # the encoder learns from; all are encoded


@dataclass(frozen=True, slots=True)
class ShopImages:
    """`source` says where the encoder's weights came from."""

    encoder: AnyEncoder
    source: str
    vectors: NDArray[np.float32]  # [N, image_dim], zeros where an item has no image
    metrics: dict[str, Any]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which items have an image, [N]."""
        seen: NDArray[np.bool_] = self.vectors.any(1)
        return seen


def session_pairs(events: Events) -> NDArray[np.int64]:
    """Rows of two different items that were engaged with in one session, the earlier first: [pairs, 2]."""
    engaged = events.engaged
    engaged = engaged.take(engaged.session >= 0)
    engaged = engaged.take(np.lexsort((engaged.at, engaged.session)))
    rows = engaged.row.astype(np.int64)
    pairs = []
    for lag in range(1, _REACH + 1):
        together = (engaged.session[lag:] == engaged.session[:-lag]) & (rows[lag:] != rows[:-lag])
        pairs.append(np.stack([rows[:-lag][together], rows[lag:][together]], axis=1))
    return np.concatenate(pairs)


def shop_images(
    workspace: Workspace,
    catalogue: Catalogue,
    text_vectors: NDArray[np.float32],
    pairs: NDArray[np.int64],
    *,
    seed: int,
    progress: Progress,
) -> ShopImages | None:
    """None where no item has an image. `pairs` [p, 2] are rows of items engaged with in one session.

    Raises CheckpointError where the shop's settings name an encoder that cannot be loaded.
    """
    images = workspace.all_images()
    if not int(images.select(pl.len()).collect().item()):
        return None
    if (name := workspace.settings.image_encoder) == EMBEDDED:
        source = EMBEDDED
        encoder, metrics = _trained(workspace, catalogue, text_vectors, pairs, seed, progress)
    else:
        loaded = load_vision_tower(name)
        encoder, source, metrics = loaded.module, loaded.source, {}
    vectors = image_vectors(encoder, images, catalogue)
    assert vectors is not None
    return ShopImages(encoder, source, vectors, metrics)


def image_models(images: ShopImages, item_vectors: NDArray[np.float32]) -> dict[str, Any]:
    """What images add to a shop's models, as fields of ShopModels by name.

    `item_vectors` [N, 128] are what the image tower is fitted to.
    """
    seen = images.present
    return {
        "image_encoder": images.encoder.eval(),
        "image_tower": fit_image_tower(images.vectors[seen], item_vectors[seen]),
        "image_dim": images.encoder.image_dim,
        "image_size": images.encoder.image_size,
        "image_source": images.source,
    }


def image_training(workspace: Workspace) -> ImageTraining:
    """How the embedded encoder of this shop is trained: longer where there are labelled photos to learn from."""
    return WITH_PHOTOS if workspace.has_photos else ImageTraining()


def _trained(
    workspace: Workspace,
    catalogue: Catalogue,
    text_vectors: NDArray[np.float32],
    pairs: NDArray[np.int64],
    seed: int,
    progress: Progress,
) -> tuple[AnyEncoder, dict[str, Any]]:
    rows, pixels = sample_images(workspace.all_images(), catalogue, MAX_IMAGES, IMAGE_SIZE)
    images = Images(pixels, rows.astype(np.int64), text_vectors.astype(np.float32), pairs)
    return train_image_encoder(images, seed=seed, settings=image_training(workspace), progress=progress)
