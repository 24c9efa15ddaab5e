"""The best state of some modules during a training run, and when to give up waiting for a better one."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

from torch import nn

LEAST_GAIN = 1e-4  # a share of the best loss


class EarlyStopping:
    def __init__(self, modules: Mapping[str, nn.Module], patience: int) -> None:
        self._modules, self._patience, self._waited = modules, patience, 0
        self._state = self._copy()
        self.best = math.inf
        self.epochs = 0

    def should_stop(self, loss: float) -> bool:
        """Takes note of an epoch's validation loss; true after `patience` epochs without a better one, or for NaN."""
        self.epochs += 1
        if loss < self.best - LEAST_GAIN * abs(loss):
            self.best, self._state, self._waited = loss, self._copy(), 0
            return False
        self._waited += 1
        return self._waited > self._patience or math.isnan(loss)

    def restore(self) -> None:
        """Puts the best state back."""
        for name, module in self._modules.items():
            module.load_state_dict(self._state[name])

    def _copy(self) -> dict[str, dict[str, object]]:
        return {name: copy.deepcopy(module.state_dict()) for name, module in self._modules.items()}
