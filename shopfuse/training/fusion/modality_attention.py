"""Attention over a candidate's modalities, with the request as the question: how text, image and behaviour count.

A modality that is missing gets no weight; the others share it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.ranking.features import CONTEXT_FEATURES
from shopfuse.ranking.tensors import MODALITIES, TOKEN, VECTOR
from shopfuse.training.examples.ranker_inputs import RankerInputs

HIDDEN = 64
HEADS = 4
REQUEST = 2 * VECTOR + len(CONTEXT_FEATURES) + 2  # width of RankerInputs.request
MATCHES = 2 * len(MODALITIES) + HEADS  # numbers for each candidate
_FAR = 1e4


class ModalityAttention(nn.Module):
    """inputs -> (matches [B, C, MATCHES], weights [B, C, M]); weights are 1 in sum over what is there."""

    def __init__(self) -> None:
        super().__init__()
        modalities = len(MODALITIES)
        self.user_wish = nn.Linear(VECTOR, modalities * TOKEN)
        self.query_wish = nn.Linear(VECTOR, modalities * TOKEN)
        self.question = nn.Sequential(nn.Linear(REQUEST, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HEADS * TOKEN))
        self.key = nn.Parameter(torch.randn(modalities, TOKEN, TOKEN) * TOKEN**-0.5)
        self.prior = nn.Parameter(torch.zeros(HEADS, modalities))

    def forward(self, inputs: RankerInputs) -> tuple[Tensor, Tensor]:
        there = inputs.modality_mask.unsqueeze(2)  # [B, C, 1, M]
        tokens = inputs.modality_vectors.float().transpose(1, 2)  # [B, M, C, TOKEN]
        answers = (tokens @ self._questions(inputs)).permute(0, 2, 3, 1) * there  # [B, C, 2 + HEADS, M]
        wishes, scores = answers[:, :, :2], answers[:, :, 2:]
        weights = torch.softmax(scores + self.prior + (there - 1.0) * _FAR, dim=-1) * there  # [B, C, HEADS, M]
        matched = (weights * wishes.sum(2, keepdim=True)).sum(-1)  # [B, C, HEADS]
        return torch.cat([wishes.flatten(2), matched], dim=-1), weights.mean(2)

    def _questions(self, inputs: RankerInputs) -> Tensor:
        """What is asked of each modality's token, once for a request: [B, M, TOKEN, 2 + HEADS].

        The first two are directions that the query and the user wish for, so that the answers are cosines; nobody's
        wish matches nothing. The others are the heads' questions, through the modality's key.
        """
        directions = (
            (self.query_wish(inputs.query), inputs.query_present),
            (self.user_wish(inputs.user), inputs.user_present),
        )
        wishes = [
            normalize(wish.unflatten(-1, (-1, TOKEN)), dim=-1) * present.unsqueeze(-1) for wish, present in directions
        ]
        question = self.question(inputs.request).unflatten(-1, (HEADS, TOKEN)) * TOKEN**-0.5
        keyed = self.key @ question.transpose(1, 2).unsqueeze(1)  # [B, M, TOKEN, HEADS]
        return torch.cat([torch.stack(wishes, dim=-1), keyed], dim=-1)
