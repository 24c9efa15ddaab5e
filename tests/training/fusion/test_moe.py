"""The mixture of experts: shares of the gates, and what keeps an expert from starving."""

import pytest
import torch

from shopfuse.ranking.tensors import submodels
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion.moe import EXPERTS, MixtureOfExperts, uneven_usage, usage
from tests.training.random_tensors import random_inputs

INPUTS = RankerInputs(**random_inputs(submodels(64)["fusion_ranker"], 8, {"candidates": 16}))


def test_gates_are_shares_for_each_task() -> None:
    gates = MixtureOfExperts().eval()(INPUTS).gates

    assert gates is not None and gates.shape == (8, 16, 3, EXPERTS)
    assert torch.allclose(gates.sum(-1), torch.ones(8, 16, 3), atol=1e-5)


def test_usage_counts_real_candidates_only() -> None:
    gates = torch.zeros(1, 2, 3, EXPERTS)
    gates[0, 0, :, 1], gates[0, 1, :, 2] = 1.0, 1.0

    shares = usage(gates, torch.tensor([[True, False]]))

    assert shares[:, 1].tolist() == [1.0, 1.0, 1.0] and shares.sum() == 3.0


@pytest.mark.parametrize(
    ("gates", "loss"),
    [
        (torch.full((1, 4, 3, EXPERTS), 1 / EXPERTS), 0.0),
        (torch.eye(EXPERTS)[[0] * 4][None, :, None].repeat(1, 1, 3, 1), EXPERTS - 1.0),
    ],
)
def test_uneven_usage_is_zero_for_equal_shares_and_largest_where_one_expert_does_all(
    gates: torch.Tensor, loss: float
) -> None:
    assert float(uneven_usage(gates, torch.ones(1, 4, dtype=torch.bool))) == pytest.approx(loss, abs=1e-5)


def test_collapsed_gates_come_back_to_use_under_the_balancing_loss() -> None:
    torch.manual_seed(0)
    moe, valid = MixtureOfExperts(), INPUTS.candidate_mask > 0
    with torch.no_grad():
        moe.request_gates.bias.copy_(torch.tensor([6.0, 0.0, 0.0, 0.0]).repeat(3))
    optimizer = torch.optim.Adam(moe.parameters(), lr=0.05)
    before = usage(moe(INPUTS).gates, valid).min()

    for _ in range(40):
        optimizer.zero_grad()
        uneven_usage(moe(INPUTS).gates, valid).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    assert float(before.detach()) < 0.01
    assert float(usage(moe(INPUTS).gates, valid).min().detach()) > 0.15
