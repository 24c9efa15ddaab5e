"""Runs a plan on the GPU of this machine, for its comparison with the ONNX file. It is not how plans are served.

TensorRT and cuda.bindings.runtime are passed in. One call at a time; memory is taken and given back in every call.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.tensors import NUMPY_TYPE, Arrays, Submodel, bucket
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.tensorrt.gpu import checked
from shopfuse_exporters.tensorrt.network import error_log


class PlanModel:
    """A plan, opened. Raises ExportError where TensorRT does not take it."""

    def __init__(self, trt: Any, cudart: Any, declaration: Submodel, plan: bytes) -> None:
        self.declaration = declaration
        self._cudart = cudart
        self._log = error_log(trt)
        self._runtime = trt.Runtime(self._log)  # must outlive the engine
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise ExportError(f"{declaration.name}: TensorRT cannot open the plan: {'; '.join(self._log.errors)}")
        self._engine = engine
        self._context = engine.create_execution_context()

    def tensors(self) -> dict[str, list[str | int]]:
        """Name -> [type, dims...] of every input and output as the engine has them."""
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        return {
            name: [self._engine.get_tensor_dtype(name).name, *(int(dim) for dim in self._engine.get_tensor_shape(name))]
            for name in names
        }

    def run(self, inputs: Arrays) -> Arrays:
        """The outputs by name for one batch."""
        with ExitStack() as held:
            stream = checked(self._cudart.cudaStreamCreate(), "no CUDA stream")
            held.callback(self._cudart.cudaStreamDestroy, stream)
            self._require(
                self._context.set_optimization_profile_async(self._profile(inputs), int(stream)), "select a profile"
            )
            for tensor in self.declaration.inputs:
                self._feed(held, tensor.name, np.ascontiguousarray(inputs[tensor.name]))
            outputs = {
                tensor.name: self._output(tensor.name, NUMPY_TYPE[tensor.dtype]) for tensor in self.declaration.outputs
            }
            pointers = {name: self._memory(held, name, array) for name, array in outputs.items()}
            self._require(self._context.execute_async_v3(int(stream)), "run")
            checked(self._cudart.cudaStreamSynchronize(stream), f"{self.declaration.name}: the plan failed")
            for name, array in outputs.items():
                self._copy(array.ctypes.data, pointers[name], array.nbytes, "cudaMemcpyDeviceToHost")
        return outputs

    def _profile(self, inputs: Arrays) -> int:
        """Of the bucket that holds the inputs' dynamic axis."""
        for tensor in self.declaration.inputs:
            for position, axis in enumerate(tensor.dims, 1):
                if isinstance(axis, str):
                    edges = self.declaration.buckets[axis]
                    return edges.index(bucket(inputs[tensor.name].shape[position], edges))
        return 0

    def _feed(self, held: ExitStack, name: str, array: NDArray[np.generic]) -> None:
        self._require(self._context.set_input_shape(name, array.shape), f"take {name} of shape {array.shape}")
        self._copy(self._memory(held, name, array), array.ctypes.data, array.nbytes, "cudaMemcpyHostToDevice")

    def _output(self, name: str, dtype: type[np.generic]) -> NDArray[np.generic]:
        return np.empty(tuple(int(dim) for dim in self._context.get_tensor_shape(name)), dtype)

    def _memory(self, held: ExitStack, name: str, array: NDArray[np.generic]) -> int:
        """The address on the GPU of room for `array`, given to the plan as tensor `name`."""
        pointer = int(checked(self._cudart.cudaMalloc(max(1, array.nbytes)), f"no GPU memory for {name}"))
        held.callback(self._cudart.cudaFree, pointer)
        self._require(self._context.set_tensor_address(name, pointer), f"take memory for {name}")
        return pointer

    def _copy(self, target: int, source: int, size: int, kind: str) -> None:
        direction = getattr(self._cudart.cudaMemcpyKind, kind)
        checked(self._cudart.cudaMemcpy(target, source, size, direction), f"{self.declaration.name}: {kind}")

    def _require(self, done: bool, what: str) -> None:
        if not done:
            raise ExportError(f"{self.declaration.name}: the plan cannot {what}: {'; '.join(self._log.errors)}")
