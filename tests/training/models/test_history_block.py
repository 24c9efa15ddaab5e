"""The layer that histories are read with: a place is made of what it may look at, and of nothing else."""

from __future__ import annotations

import pytest
import torch

from shopfuse.training.models.history_block import HistoryBlock


@pytest.mark.parametrize("filtered", [True, False])
def test_what_a_place_may_not_look_at_changes_nothing_there(filtered: bool) -> None:
    torch.manual_seed(0)
    block = HistoryBlock(8, 2, 4, dropout=0.0, filtered=filtered)
    visible = torch.tril(torch.ones(1, 4, 4))
    one, other = torch.randn(2, 1, 4, 8)
    other[:, :2] = one[:, :2]

    before, after = block(one, visible), block(other, visible)

    assert torch.allclose(before[:, :2], after[:, :2], atol=1e-6)
    assert not torch.allclose(before[:, 2], after[:, 2], atol=1e-3)
