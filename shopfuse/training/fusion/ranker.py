"""The fusion ranker: one declared signature around every method of fusion.

A method that learns says logits of tasks; this module makes calibrated probabilities of them. A score-level method
says a relevance. How each does it, and how it learns, is in its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.features import FEATURES
from shopfuse.ranking.fusion import FUSION_METHODS
from shopfuse.ranking.tensors import TASKS
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion.attention import AttentionFusion
from shopfuse.training.fusion.facts import RankerFacts
from shopfuse.training.fusion.moe import MixtureOfExperts
from shopfuse.training.fusion.score_level import ScoreFusion
from shopfuse.training.fusion.stacking import Stacking
from shopfuse.training.fusion.task_logits import TRAINED_TASKS, TaskLogits, task_probabilities

LEARNED: dict[str, Callable[[], nn.Module]] = {
    "stacking": Stacking,
    "attention": AttentionFusion,
    "moe": MixtureOfExperts,
}
METHODS: dict[str, Callable[[], nn.Module]] = {
    **{method: partial(ScoreFusion, method) for method in FUSION_METHODS},
    **LEARNED,
}


class FusionRanker(nn.Module):
    """The declared inputs of fusion_ranker -> (task_probabilities [B, C, 4], modality_weights [B, C, M]).

    Learned methods fill click, cart and purchase; score-level ones fill relevance, and so do learned ones that have
    seen no impression: what they say is an order, and no probability of what follows one. Raises ShopfuseError for a
    method that is not in METHODS.
    """

    logit_scale: Tensor
    logit_shift: Tensor
    reported: Tensor

    def __init__(self, method: str = "attention") -> None:
        super().__init__()
        if method not in METHODS:
            raise ShopfuseError(f"fusion {method!r}: expected one of {', '.join(METHODS)}")
        self.method = method
        self.fusion = METHODS[method]()
        if method in LEARNED:
            self.register_buffer("logit_scale", torch.ones(len(TRAINED_TASKS)))
            self.register_buffer("logit_shift", torch.zeros(len(TRAINED_TASKS)))
            self.register_buffer("reported", torch.eye(len(TASKS)))  # which task each probability is told as

    def forward(
        self,
        query_vector: Tensor,
        query_present: Tensor,
        user_vector: Tensor,
        user_present: Tensor,
        context: Tensor,
        history_vectors: Tensor,
        history_events: Tensor,
        history_gaps: Tensor,
        history_mask: Tensor,
        item_vectors: Tensor,
        modality_vectors: Tensor,
        modality_mask: Tensor,
        channel_scores: Tensor,
        channel_mask: Tensor,
        features: Tensor,
        candidate_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        inputs = RankerInputs(
            query_vector,
            query_present,
            user_vector,
            user_present,
            context,
            history_vectors,
            history_events,
            history_gaps,
            history_mask,
            item_vectors,
            modality_vectors,
            modality_mask,
            channel_scores,
            channel_mask,
            features,
            candidate_mask,
        )
        probabilities, weights = self._judge(inputs)
        return probabilities * candidate_mask.unsqueeze(-1), weights * candidate_mask.unsqueeze(-1)

    def logits(self, inputs: RankerInputs) -> TaskLogits:
        """Of a learned method, as it was trained."""
        judged: TaskLogits = self.fusion(inputs)
        return judged

    def calibrated(self, logits: Tensor) -> Tensor:
        """Logits [..., 3] of a learned method as they are served."""
        return logits * self.logit_scale + self.logit_shift

    def set_calibration(self, scale: Tensor, shift: Tensor) -> None:
        """Of each task's logit, [3] each."""
        self.logit_scale.copy_(scale)
        self.logit_shift.copy_(shift)

    def report_relevance(self) -> None:
        """From now on the click's probability is told as the relevance, and nothing else is told."""
        self.reported.zero_()
        self.reported[TASKS.index("click"), TASKS.index("relevance")] = 1.0

    def _judge(self, inputs: RankerInputs) -> tuple[Tensor, Tensor]:
        if self.method not in LEARNED:
            relevance: tuple[Tensor, Tensor] = self.fusion(inputs)
            return relevance
        judged = self.logits(inputs)
        return task_probabilities(self.calibrated(judged.logits)) @ self.reported, judged.modality_weights

    @property
    def average_features(self) -> Tensor:
        """Of the candidates that it learned from, [F]: what stands in for features that are not there."""
        return torch.zeros(len(FEATURES)) if self.facts is None else self.facts.feature_mean

    @property
    def facts(self) -> RankerFacts | None:
        """What the method knows of each candidate, where it looks at more than channels."""
        facts = getattr(self.fusion, "facts", None)
        return facts if isinstance(facts, RankerFacts) else None
