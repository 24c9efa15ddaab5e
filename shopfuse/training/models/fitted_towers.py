"""Towers for a shop without events: nothing is learned from users, one projection is fitted to the catalogue's texts.

Query and item vectors are the text embeddings in the space of the catalogue's first 128 right singular vectors
(uncentred, so that cosines stay close to the encoder's own). Same signatures as the trained towers.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.ranking.features import AFFINITY_HALF_LIFE_S
from shopfuse.ranking.tensors import MODALITIES, TOKEN, VECTOR
from shopfuse.ranking.user_state import EVENT_WEIGHT


def fit_projection(text_vectors: NDArray[np.float32], dims: int = VECTOR) -> NDArray[np.float32]:
    """The first `dims` right singular vectors of `text_vectors` [N, D], as [D, dims].

    Zero columns fill up where the texts span fewer dimensions. The sign of each vector is fixed, so that the same
    catalogue gives the same projection on every machine.
    """
    columns = text_vectors.shape[1]
    gram = text_vectors.T.astype(np.float64) @ text_vectors.astype(np.float64)  # [D, D]
    _, vectors = np.linalg.eigh(gram)  # ascending eigenvalues
    top = vectors[:, ::-1][:, :dims]
    top = top * np.where(top[np.abs(top).argmax(0), np.arange(top.shape[1])] < 0, -1.0, 1.0)
    projection = np.zeros((columns, dims), np.float32)
    projection[:, : top.shape[1]] = top
    return projection


class _Projection(nn.Module):
    projection: Tensor

    def __init__(self, projection: NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("projection", torch.from_numpy(projection.copy()))  # [D, 128]


class FittedQueryTower(_Projection):
    """text_embedding [B, D] -> query_vector [B, 128]."""

    def forward(self, text_embedding: Tensor) -> Tensor:
        return normalize(text_embedding @ self.projection, dim=-1)


class FittedItemTower(_Projection):
    """Item inputs -> (item_vector [B, 128], modality_vectors [B, 3, 64]); only the text says anything yet."""

    def forward(
        self,
        text_embedding: Tensor,
        image_embedding: Tensor,
        behaviour_embedding: Tensor,
        attributes: Tensor,
        presence: Tensor,
    ) -> tuple[Tensor, Tensor]:
        projected = (text_embedding @ self.projection) * presence[:, :1]
        text = normalize(projected[:, :TOKEN], dim=-1).unsqueeze(1)  # [B, 1, 64]
        silent = torch.zeros_like(text).repeat(1, len(MODALITIES) - 1, 1)
        return normalize(projected, dim=-1), torch.cat([text, silent], dim=1)


class FittedUserTower(nn.Module):
    """History -> user_vector [B, 128]: the mean of its items, weighted by kind of event and recency."""

    event_weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("event_weight", torch.from_numpy(EVENT_WEIGHT.copy()))

    def forward(
        self,
        history_vectors: Tensor,
        history_events: Tensor,
        history_gaps: Tensor,
        history_mask: Tensor,
        context: Tensor,
    ) -> Tensor:
        age_s = torch.expm1(history_gaps) * 3600.0
        # Shares of the newest entry's weight: a long absence must not shrink every weight to zero.
        newest_s = torch.where(history_mask > 0, age_s, age_s.amax(1, keepdim=True)).amin(1, keepdim=True)
        age_s = (age_s - newest_s).clamp(min=0.0)
        weight = self.event_weight[history_events] * torch.exp2(-age_s / AFFINITY_HALF_LIFE_S) * history_mask
        return normalize((history_vectors.float() * weight.unsqueeze(-1)).sum(1), dim=-1)
