"""Cross entropy over every item for many positions, without ever holding positions x items in memory.

Loss and gradients are made together, a block of positions at a time: the block's scores stay in the cache, and only
the gradients of the hidden states and of the item vectors are kept. With 12,000 items this is several times faster on
a CPU than the same formula through autograd.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

_BLOCK_SCORES = 1 << 20  # scores of a block, 4 MB


class _FullSoftmax(Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        hidden_gradient, items_gradient = torch.empty_like(hidden), torch.zeros_like(items)
        loss = hidden.new_zeros(())
        rows = max(8, _BLOCK_SCORES // len(items))
        scores = hidden.new_empty(min(rows, len(hidden)), len(items))
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            state, target = hidden[part], targets[part].unsqueeze(1)
            block = scores[: len(state)]
            torch.mm(state, items.T, out=block)
            torch.softmax(block, 1, out=block)
            chosen = block.gather(1, target)
            loss -= chosen.clamp_min(1e-30).log().sum()
            block.scatter_(1, target, chosen - 1.0)  # softmax - one hot: the scores' gradient
            torch.mm(block, items, out=hidden_gradient[part])
            items_gradient.addmm_(block.T, state)
        ctx.save_for_backward(hidden_gradient, items_gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        hidden, items = ctx.saved_tensors
        return hidden * gradient, items * gradient, None


def full_softmax_loss(hidden: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    """sum_p -log softmax(hidden[p] @ items.T)[targets[p]], a scalar; hidden [P, d], items [N, d], targets int64 [P]."""
    loss: Tensor = _FullSoftmax.apply(hidden, items, targets)  # type: ignore[no-untyped-call]
    return loss
