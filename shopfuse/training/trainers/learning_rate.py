"""The learning rate over a training run: up for a tenth of the steps, then down along half a cosine."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

_WARM_UP = 0.1


def warm_up_then_cosine(optimizer: Optimizer, steps: int) -> LambdaLR:
    """A schedule for `steps` optimiser steps; every parameter group keeps its own peak."""
    rising = max(1, round(_WARM_UP * steps))

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising))))

    return LambdaLR(optimizer, share)
