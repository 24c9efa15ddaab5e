"""Ridge regression around the means: the linear map nearest to targets, for towers that nothing else teaches."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

RIDGE = 1e-2  # times the rows: few say little about each direction


def fit_linear(layer: nn.Linear, inputs: NDArray[np.float32], targets: NDArray[np.float32]) -> None:
    """Sets `layer` to the map from `inputs` [n, D] that comes nearest to `targets` [n, V]; n is at least 1."""
    given, wanted = inputs.astype(np.float64), targets.astype(np.float64)
    middle, target = given.mean(0), wanted.mean(0)
    centred = given - middle
    gram = centred.T @ centred + RIDGE * len(given) * np.eye(given.shape[1])  # [D, D]
    weight = np.linalg.solve(gram, centred.T @ (wanted - target))  # [D, V]
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.T))
        layer.bias.copy_(torch.from_numpy(target - middle @ weight))
