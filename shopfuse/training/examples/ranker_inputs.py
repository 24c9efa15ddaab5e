"""What a fusion ranker is given, as one value: the declared inputs of `fusion_ranker` by name, in their order.

The order is the one of ranking.tensors; a test keeps the two equal. Nothing here computes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shopfuse.ranking.features import CONTEXT_FEATURES

_IS_SEARCH = CONTEXT_FEATURES.index("is_search")


class RankerInputs(NamedTuple):
    """B requests with C candidates each. Masks and presences are 0 or 1."""

    query_vector: Tensor  # [B, 128]
    query_present: Tensor  # [B, 1]
    user_vector: Tensor  # [B, 128]
    user_present: Tensor  # [B, 1]
    context: Tensor  # [B, CONTEXT_FEATURES]
    history_vectors: Tensor  # [B, 50, 128]
    history_events: Tensor  # [B, 50] user_state.EVENT_CODES
    history_gaps: Tensor  # [B, 50] log1p(hours before the request)
    history_mask: Tensor  # [B, 50]
    item_vectors: Tensor  # [B, C, 128]
    modality_vectors: Tensor  # [B, C, M, 64]
    modality_mask: Tensor  # [B, C, M]
    channel_scores: Tensor  # [B, C, K]
    channel_mask: Tensor  # [B, C, K]
    features: Tensor  # [B, C, FEATURES]
    candidate_mask: Tensor  # [B, C]

    def to(self, device: torch.device) -> RankerInputs:
        return RankerInputs(*(tensor.to(device) for tensor in self))

    @property
    def is_search(self) -> Tensor:
        """[B, 1]"""
        return self.context[:, _IS_SEARCH : _IS_SEARCH + 1]

    @property
    def query(self) -> Tensor:
        """The query vector, zeros where there is none: [B, 128]."""
        return self.query_vector * self.query_present

    @property
    def user(self) -> Tensor:
        """The user vector, zeros where there is none: [B, 128]."""
        return self.user_vector * self.user_present

    @property
    def request(self) -> Tensor:
        """All that is known of the request beside its history: [B, REQUEST]."""
        return torch.cat([self.query, self.user, self.context, self.query_present, self.user_present], dim=-1)
