"""The softmax over many items and its gradients against autograd's."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from shopfuse.training.trainers.full_softmax import full_softmax_loss


# A block holds about a million scores: the second case has several, the last one short.
@pytest.mark.parametrize(("positions", "items_known"), [(37, 23), (97, 50_000)])
def test_loss_and_gradients_are_those_of_cross_entropy_whatever_the_blocks(positions: int, items_known: int) -> None:
    torch.manual_seed(0)
    states = torch.randn(positions, 5, requires_grad=True)
    items = torch.randn(items_known, 5, requires_grad=True)
    targets, weights = torch.randint(items_known, (positions,)), torch.rand(positions)

    loss = full_softmax_loss(states, items, targets, weights) / positions
    own = torch.autograd.grad(loss, (states, items))
    reference = (cross_entropy(states @ items.T, targets, reduction="none") * weights).sum() / positions
    expected = torch.autograd.grad(reference, (states, items))

    assert torch.allclose(loss, reference, atol=1e-6)
    assert all(torch.allclose(mine, theirs, atol=1e-6) for mine, theirs in zip(own, expected, strict=True))


def test_the_loss_is_in_float32_whatever_autocast_made_of_the_states() -> None:
    torch.manual_seed(0)
    states, items, targets = torch.randn(4, 8).bfloat16(), torch.randn(6, 8), torch.randint(6, (4,))
    expected = full_softmax_loss(states.float(), items, targets, torch.ones(4))

    with torch.autocast("cpu", torch.bfloat16):
        loss = full_softmax_loss(states, items, targets, torch.ones(4))

    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)


def test_a_hopeless_target_costs_much_but_not_infinitely() -> None:
    states, items = torch.full((1, 1), 500.0), torch.tensor([[1.0], [-1.0]])

    assert 50 < float(full_softmax_loss(states, items, torch.tensor([1]), torch.ones(1))) < 1e4
