"""The method `moe`: a multi-gate mixture of experts (Ma et al., 2018, KDD: "MMoE"), a gate and a tower for each task.

Tasks that disagree can rely on different experts. Gates left alone tend to settle on one expert and starve the others:
`uneven_usage` is the loss against it (Shazeer et al., 2017), `usage` the measure.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion.facts import FACTS, RankerFacts
from shopfuse.training.fusion.modality_attention import REQUEST
from shopfuse.training.fusion.task_logits import TRAINED_TASKS, TaskLogits

EXPERTS = 4
HIDDEN = 32  # of an expert
_TASKS = len(TRAINED_TASKS)


class MixtureOfExperts(nn.Module):
    """inputs -> TaskLogits with gates. As in `attention`, a candidate's logits depend on no other candidate."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = RankerFacts()
        self.candidate = nn.Linear(FACTS, EXPERTS * HIDDEN)
        self.request = nn.Sequential(nn.Linear(REQUEST, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 2 * EXPERTS * HIDDEN))
        self.dropout = nn.Dropout(0.1)
        self.expert = nn.Parameter(torch.randn(EXPERTS, HIDDEN, HIDDEN) * HIDDEN**-0.5)
        self.expert_bias = nn.Parameter(torch.zeros(EXPERTS, 1, HIDDEN))
        self.request_gates = nn.Linear(REQUEST, _TASKS * EXPERTS)
        self.candidate_gates = nn.Linear(FACTS, _TASKS * EXPERTS, bias=False)
        self.towers = nn.Parameter(torch.randn(_TASKS, HIDDEN) * HIDDEN**-0.5)
        self.straight = nn.Linear(FACTS, _TASKS)

    def forward(self, inputs: RankerInputs) -> TaskLogits:
        facts, weights = self.facts(inputs)
        gates = self._gates(inputs.request, facts)  # [B, C, TASKS, EXPERTS]
        mixed = gates @ self._experts(inputs.request, facts)  # [B, C, TASKS, HIDDEN]
        logits = (gelu(mixed) * self.towers).sum(-1) + self.straight(facts)
        return TaskLogits(logits, weights, gates)

    def _gates(self, request: Tensor, facts: Tensor) -> Tensor:
        scores = self.request_gates(request).unsqueeze(1) + self.candidate_gates(facts)
        return torch.softmax(scores.unflatten(-1, (_TASKS, EXPERTS)), dim=-1)

    def _experts(self, request: Tensor, facts: Tensor) -> Tensor:
        """What each expert says of each candidate: [B, C, EXPERTS, HIDDEN]."""
        scale, shift = self.request(request).unsqueeze(1).chunk(2, dim=-1)
        hidden = self.dropout(gelu(self.candidate(facts) * (1.0 + scale) + shift))
        hidden = hidden.unflatten(-1, (EXPERTS, HIDDEN)).transpose(1, 2)  # [B, EXPERTS, C, HIDDEN]
        outputs: Tensor = hidden @ self.expert + self.expert_bias
        return outputs.transpose(1, 2)


def usage(gates: Tensor, valid: Tensor) -> Tensor:
    """The mean share of each expert in each task over the valid candidates [B, C]: [TASKS, EXPERTS]."""
    real = valid.to(gates.dtype)[..., None, None]
    return (gates * real).sum((0, 1)) / real.sum().clamp(min=1.0)


def uneven_usage(gates: Tensor, valid: Tensor) -> Tensor:
    """0 where every task uses all experts equally, EXPERTS - 1 where each uses one alone: the squared coefficient of
    variation of the shares, averaged over the tasks."""
    shares = usage(gates, valid)
    return (shares.shape[-1] * (shares**2).sum(-1) - 1.0).mean()
