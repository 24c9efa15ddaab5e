"""The method `stacking` (Wolpert, 1992): logistic models of the tasks over what the score-level methods say.

Level 0 are the score-level fusions and the channels' own opinions. None of it was fitted to the lists that level 1
learns from: the methods learn nothing, and the towers behind the channels saw only events before the first list.
Level 1 is linear, with weights of its own for each surface; it sees neither features nor vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.fusion import FUSION_METHODS
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion.score_level import OPINIONS, ScoreFusion, known_channels, normalise
from shopfuse.training.fusion.task_logits import TRAINED_TASKS, TaskLogits

SURFACES = ("recommend", "similar", "search")
LEVEL_ZERO = (*FUSION_METHODS, *CHANNELS, *(f"{channel} known" for channel in CHANNELS))


class Stacking(nn.Module):
    """inputs -> TaskLogits."""

    def __init__(self) -> None:
        super().__init__()
        self.methods = nn.ModuleDict({method: ScoreFusion(method) for method in FUSION_METHODS})
        self.weight = nn.Parameter(torch.zeros(len(SURFACES), len(TRAINED_TASKS), len(LEVEL_ZERO)))
        self.bias = nn.Parameter(torch.zeros(len(SURFACES), len(TRAINED_TASKS)))

    def forward(self, inputs: RankerInputs) -> TaskLogits:
        opinions, shares = self.level_zero(inputs)
        return TaskLogits(self.level_one(opinions, surface_of(inputs.is_search, inputs.query_present)), shares)

    def level_zero(self, inputs: RankerInputs) -> tuple[Tensor, Tensor]:
        """(what the methods and channels say [B, C, LEVEL_ZERO], the methods' mean modality weights [B, C, M])."""
        scores, mask = known_channels(inputs)
        relevances, shares = [], []
        for name, method in self.methods.items():
            assert isinstance(method, ScoreFusion)
            relevance, share = method.relevance(OPINIONS[name](scores, mask), mask, inputs)
            relevances.append(relevance)
            shares.append(share)
        opinions = torch.cat([torch.stack(relevances, dim=-1), normalise(scores, mask), mask], dim=-1)
        return opinions, torch.stack(shares).mean(0)

    def level_one(self, opinions: Tensor, surface: Tensor) -> Tensor:
        """Logits [B, C, 3] from level 0 [B, C, LEVEL_ZERO] and one-hot surfaces [B, SURFACES]."""
        weight = torch.einsum("bs,stl->blt", surface, self.weight)
        return opinions @ weight + (surface @ self.bias).unsqueeze(1)


def surface_of(is_search: Tensor, query_present: Tensor) -> Tensor:
    """One-hot SURFACES [B, 3] from flags [B, 1]: similar items are asked for by a vector without words."""
    similar = query_present * (1.0 - is_search)
    return torch.cat([1.0 - is_search - similar, similar, is_search], dim=-1)
