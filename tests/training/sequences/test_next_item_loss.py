"""The loss over every item and its gradients against autograd's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from shopfuse.training.sequences.next_item_loss import ItemSampler, full_softmax_loss


# A block holds about a million scores: the second case has several, the last one short.
@pytest.mark.parametrize(("positions", "items_known"), [(37, 23), (97, 50_000)])
def test_loss_and_gradients_are_those_of_cross_entropy_whatever_the_blocks(positions: int, items_known: int) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(positions, 5, requires_grad=True)
    items = torch.randn(items_known, 5, requires_grad=True)
    targets = torch.randint(items_known, (positions,))

    loss = full_softmax_loss(hidden, items, targets) / positions
    own = torch.autograd.grad(loss, (hidden, items))
    reference = cross_entropy(hidden @ items.T, targets)
    expected = torch.autograd.grad(reference, (hidden, items))

    assert torch.allclose(loss, reference, atol=1e-6)
    assert all(torch.allclose(mine, theirs, atol=1e-6) for mine, theirs in zip(own, expected, strict=True))


def test_a_hopeless_target_costs_much_but_not_infinitely() -> None:
    hidden, items = torch.full((1, 1), 500.0), torch.tensor([[1.0], [-1.0]])

    assert 50 < float(full_softmax_loss(hidden, items, torch.tensor([1]))) < 1e4


def test_a_sample_gives_the_sum_over_all_items_on_average() -> None:
    torch.manual_seed(0)
    counts = np.array([50] * 10 + [1] * 190, np.int64)
    scores, targets = torch.randn(200), torch.tensor([0, 3, 150])
    sampler = ItemSampler(counts, 60)

    sums = []
    for _ in range(400):
        drawn = torch.multinomial(torch.from_numpy(counts / counts.sum()), 3, replacement=True)
        sample = sampler.draw(drawn)
        sums.append(float(torch.exp(scores[sample.items] + sample.correction).sum()))
    sample = sampler.draw(targets)

    assert torch.equal(sample.items[sample.places], targets)
    assert float(np.mean(sums)) == pytest.approx(float(torch.exp(scores).sum()), rel=0.03)
