"""Random inputs for a submodel, in the order of its declaration: what an exporter would feed it."""

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.ranking.tensors import NUMPY_TYPE, Submodel


def random_inputs(
    model: Submodel, batch: int, axes: dict[str, int] | None = None, seed: int = 0
) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    inputs = {}
    for tensor in model.inputs:
        shape = tensor.shape(batch, axes or {})
        values: NDArray[np.generic]
        if tensor.name.endswith(("mask", "present", "presence")):
            values = (rng.random(shape) < 0.7).astype(np.float32)
        elif tensor.dtype in ("INT64", "UINT8"):
            values = rng.integers(0, 5 if tensor.dtype == "INT64" else 256, shape)
        else:
            values = rng.standard_normal(shape) / np.sqrt(shape[-1])
        inputs[tensor.name] = torch.from_numpy(values.astype(NUMPY_TYPE[tensor.dtype]))
    return inputs
