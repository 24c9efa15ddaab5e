"""Refuses weights that are no numbers: NaN and infinity, in a torch module or in an ONNX file made from one.

A diverged training and a weight beyond the range of fp16 both look like this. It does not ask whether the numbers are
good: see parity.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from shopfuse_exporters.errors import ParityError


def check_module_weights(model: str, module: nn.Module) -> None:
    """Raises ParityError naming the first parameter or buffer that holds a value which is not finite."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ParityError(_refusal(model, f"weight '{name}'", int((~torch.isfinite(tensor)).sum()), tensor.numel()))


def check_file_weights(model: str, path: Path) -> None:
    """The same for the initialisers of an ONNX file; a single number may be infinite: attention masks use it."""
    for tensor in onnx.load(path).graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.size > 1 and np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise ParityError(_refusal(model, f"{path.name}: weight '{tensor.name}'", bad, values.size))


def _refusal(model: str, weight: str, bad: int, size: int) -> str:
    return f"{model}: {weight}: expected finite numbers, found NaN or infinity in {bad} of {size}"
