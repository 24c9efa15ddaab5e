"""All models of one shop but the text encoder, fitted or trained, and how they were made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from shopfuse.ranking.tensors import D_IMAGE, IMAGE_SIZE, TOKEN
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.models.fitted_towers import FittedItemTower, FittedQueryTower, FittedUserTower, fit_projection

RELEVANCE_ONLY = {"relevance": 1.0}


@dataclass(frozen=True, slots=True)
class ShopModels:
    """Modules with the signatures of ranking.tensors. `tasks` is each reported task's weight in an item's score."""

    query_tower: nn.Module
    item_tower: nn.Module
    user_tower: nn.Module
    fusion_ranker: nn.Module
    image_encoder: nn.Module | None  # with an image_tower, or neither
    behaviour_embeddings: NDArray[np.float32]  # [N, TOKEN]
    behaviour_present: NDArray[np.bool_]  # [N]
    scenes: tuple[str, ...]
    tasks: dict[str, float]
    fusion: str
    ranks_similar: bool = True  # else the channels order similar items
    image_tower: nn.Module | None = None
    image_dim: int = D_IMAGE
    image_size: int = IMAGE_SIZE  # pixels a side
    image_source: str = "embedded"  # where the image encoder's weights came from
    metrics: dict[str, Any] = field(default_factory=dict)
    made_by: dict[str, Any] = field(default_factory=dict)

    @property
    def search_weights(self) -> dict[str, float]:
        """The channels' weights in a search where judgments chose them, by channel; else empty."""
        learned: dict[str, float] = self.made_by.get("search_weights", {})
        return dict(learned)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The modules by the names of ranking.tensors."""
        named = {
            "image_encoder": self.image_encoder,
            "query_tower": self.query_tower,
            "image_tower": self.image_tower,
            "item_tower": self.item_tower,
            "user_tower": self.user_tower,
            "fusion_ranker": self.fusion_ranker,
        }
        return {name: module for name, module in named.items() if module is not None}


def fitted_models(text_vectors: NDArray[np.float32], scenes: tuple[str, ...], fusion: str) -> ShopModels:
    """What a shop without events is served by: projections of its texts and a score-level fusion."""
    projection = fit_projection(text_vectors)
    count = len(text_vectors)
    return ShopModels(
        query_tower=FittedQueryTower(projection).eval(),
        item_tower=FittedItemTower(projection).eval(),
        user_tower=FittedUserTower().eval(),
        fusion_ranker=FusionRanker(fusion).eval(),
        image_encoder=None,
        behaviour_embeddings=np.zeros((count, TOKEN), np.float32),
        behaviour_present=np.zeros(count, np.bool_),
        scenes=scenes,
        tasks=dict(RELEVANCE_ONLY),
        fusion=fusion,
        made_by={"towers": "fitted"},
    )
