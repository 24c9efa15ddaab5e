"""The method `attention`: facts of a candidate, weighed by what the request asks, to a logit for each task.

A candidate's logits depend on the request and on itself alone, never on the other candidates: padding, page size and
the rest of the pool cannot change them.
"""

from __future__ import annotations

from torch import nn

from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion.facts import FACTS, RankerFacts
from shopfuse.training.fusion.modality_attention import REQUEST
from shopfuse.training.fusion.task_logits import TRAINED_TASKS, TaskLogits

HIDDEN = 64


class AttentionFusion(nn.Module):
    """inputs -> TaskLogits."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = RankerFacts()
        self.request_gate = nn.Sequential(nn.Linear(REQUEST, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 2 * HIDDEN))
        self.candidate = nn.Linear(FACTS, HIDDEN)
        self.body = nn.Sequential(nn.GELU(), nn.Dropout(0.1), nn.Linear(HIDDEN, HIDDEN // 2), nn.GELU())
        self.straight = nn.Linear(FACTS, len(TRAINED_TASKS))
        self.tasks = nn.Linear(HIDDEN // 2, len(TRAINED_TASKS))

    def forward(self, inputs: RankerInputs) -> TaskLogits:
        facts, weights = self.facts(inputs)
        scale, shift = self.request_gate(inputs.request).unsqueeze(1).chunk(2, dim=-1)
        hidden = self.candidate(facts) * (1.0 + scale) + shift  # the request decides what counts
        return TaskLogits(self.tasks(self.body(hidden)) + self.straight(facts), weights)
