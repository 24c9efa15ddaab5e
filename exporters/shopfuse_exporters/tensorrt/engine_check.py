"""Whether TensorRT opens the bytes of an engine, and finds the tensors and profiles in it that were declared.

An engine is opened on a GPU. Without one the runtime still tells an engine that was cut short or is none, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.tensorrt.network import TYPE_NAMES, error_log
from shopfuse_exporters.triton.targets import profiles

# The runtime checks these before it looks for a GPU, as in "plan.header.size == blobSize failed".
_DAMAGED: Final = ("header", "bufferSize")


def opens(trt: Any, declaration: Submodel, engine: bytes) -> bool:
    """False where no GPU of this machine can open it. Raises ExportError for an engine that is damaged or not as
    declared."""
    log = error_log(trt)
    log.errors.clear()
    opened = trt.Runtime(log).deserialize_cuda_engine(engine)
    if damage := [error for error in log.errors if any(part in error for part in _DAMAGED)]:
        raise ExportError(f"{declaration.name}: the engine is cut short or is none: {'; '.join(damage)}")
    if opened is None:
        return False
    if problems := list(_problems(declaration, opened)):
        raise ExportError(f"{declaration.name}: the engine is not as declared: {'; '.join(problems)}")
    return True


def _problems(declaration: Submodel, engine: Any) -> Iterator[str]:
    declared = {tensor.name: TYPE_NAMES[tensor.dtype] for tensor in (*declaration.inputs, *declaration.outputs)}
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    found = {name: engine.get_tensor_dtype(name).name for name in names}
    if found != declared:
        yield f"expected tensors {declared}, found {found}"
        return
    wanted = profiles(declaration)
    if engine.num_optimization_profiles != len(wanted):
        yield f"expected {len(wanted)} profiles, found {engine.num_optimization_profiles}"
        return
    for number, shapes_by_input in enumerate(wanted):
        for name, shapes in shapes_by_input.items():
            actual = tuple(tuple(shape) for shape in engine.get_tensor_profile_shape(name, number))
            if actual != (shapes.least, shapes.tuned, shapes.most):
                yield f"profile {number} of '{name}': expected {shapes}, found {actual}"
