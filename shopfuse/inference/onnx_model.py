"""Opening an exported model in this process, as the catalogue encoding and the parity check run it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.tensors import Arrays, Submodel


class ModelFileError(ShopfuseError):
    """A file of a model, or its tokenizer, cannot be opened."""


class OnnxModel:
    """One ONNX file on the CPU. `run` may be called from several threads at once; each call uses one core."""

    def __init__(self, declaration: Submodel, path: Path) -> None:
        """Raises ModelFileError where the file is missing or not a model."""
        self.declaration = declaration
        self._outputs = [tensor.name for tensor in declaration.outputs]
        options = onnxruntime.SessionOptions()
        # One thread for each call and calls in parallel: with this little work an operator, threads that share one
        # operator wait for each other, and on a busy machine they are slower than one (measured: 199 against 302
        # texts a second on two cores under load).
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # a plan for every shape would be kept; shapes vary here
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a dozen unrelated classes for "cannot open"
            raise ModelFileError(f"{declaration.name}: onnxruntime cannot open {path}: {error}") from error

    def run(self, inputs: Arrays) -> Arrays:
        """The outputs by name for one batch."""
        results: list[NDArray[np.generic]] = self._session.run(self._outputs, inputs)
        return dict(zip(self._outputs, results, strict=True))
