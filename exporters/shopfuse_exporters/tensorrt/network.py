"""An ONNX file to the bytes of an engine, through the Python API of either TensorRT, which is passed in.

Data-centre TensorRT builds on the GPU that will serve and is called so in NVIDIA's container; TensorRT for RTX builds
ahead of time for the architectures that it is told, on any machine. Both have one API, so both get the same network,
profiles and checks. Networks are strongly typed: the precision is the ONNX file's, and no flag here changes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from shopfuse.core.atomic_files import write_bytes
from shopfuse.ranking.tensors import DataType, Submodel, Tensor
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.triton.model_config import WORKSPACE_BYTES
from shopfuse_exporters.triton.targets import TENSORRT, profiles

TYPE_NAMES: dict[DataType, str] = {"FP32": "FLOAT", "FP16": "HALF", "INT64": "INT64", "UINT8": "UINT8"}


def check_version(trt: Any) -> None:
    """Raises ExportError where this is not the TensorRT that config.pbtxt names plans of."""
    if not trt.__version__.startswith(f"{TENSORRT}."):
        raise ExportError(f"expected TensorRT {TENSORRT}, found {trt.__version__}: use the container of the same month")


def serialized_engine(
    trt: Any,
    onnx: Path,
    declaration: Submodel,
    *,
    architectures: Sequence[str] = (),
    timing_cache: Path | None = None,
) -> bytes:
    """The engine of one ONNX file, with one profile for each bucket; for this machine's GPU where no architecture
    such as "sm89" is named.

    `timing_cache` keeps what kernels were measured for the next build. Raises ExportError naming operators and nodes,
    or with TensorRT's own errors.
    """
    log = error_log(trt)
    builder = trt.Builder(log)
    network = parsed_network(trt, builder, onnx, declaration)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.clear_flag(trt.BuilderFlag.TF32)  # it rounds fp32 to 10 bits, and parity ends there
    _set_architectures(trt, config, declaration, architectures)
    _add_profiles(builder, config, declaration)
    measured = _open_cache(config, timing_cache) if timing_cache else None
    log.errors.clear()
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        reasons = "; ".join(log.errors) or "no reason"
        raise ExportError(f"{declaration.name}: TensorRT built no engine of {onnx}: {reasons}")
    if timing_cache and measured:
        write_bytes(timing_cache, bytes(measured.serialize()))
    return bytes(engine)


@cache
def error_log(trt: Any) -> Any:
    """A logger that keeps errors for messages; what is less than an error is about TensorRT's own choices.

    One for all builders of a process: TensorRT tells its first logger everything and ignores later ones.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(msg)

    return Log()


def parsed_network(trt: Any, builder: Any, onnx: Path, declaration: Submodel) -> Any:
    """The network that TensorRT reads; raises ExportError naming each operator and node that it refuses, or a tensor
    that is not as it was declared."""
    strongly_typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(strongly_typed)
    parser = trt.OnnxParser(network, error_log(trt))
    if not parser.parse_from_file(str(onnx)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        reasons = [f"{error.node_operator()} (node '{error.node_name()}'): {_reason(error)}" for error in errors]
        raise ExportError(f"{declaration.name}: TensorRT cannot read {onnx}: {'; '.join(reasons)}")
    if problems := list(_tensor_problems(network, declaration)):
        raise ExportError(f"{declaration.name}: TensorRT reads another model in {onnx}: {'; '.join(problems)}")
    return network


def _reason(error: Any) -> str:
    """The parser says only "false" of a node that it does not know, and adds what it thinks of a missing driver."""
    reason = " ".join(line for line in str(error.desc()).splitlines() if not line.startswith("[checkMacros"))
    return "not an operator that TensorRT builds" if reason in ("", "false") else reason


def _tensor_problems(network: Any, declaration: Submodel) -> Iterator[str]:
    found_inputs = [network.get_input(index) for index in range(network.num_inputs)]
    found_outputs = [network.get_output(index) for index in range(network.num_outputs)]
    for kind, declared, found in (
        ("input", declaration.inputs, found_inputs),
        ("output", declaration.outputs, found_outputs),
    ):
        expected = {tensor.name: _signature(tensor) for tensor in declared}
        actual = {tensor.name: (tensor.dtype.name, tuple(tensor.shape)) for tensor in found}
        for name in sorted(expected.keys() | actual.keys()):
            if expected.get(name) != actual.get(name):
                yield f"{kind} '{name}': expected {expected.get(name)}, found {actual.get(name)}"


Signature = tuple[str, tuple[int, ...]]  # TensorRT's name of the type, and the shape; -1 is dynamic


def _signature(tensor: Tensor) -> Signature:
    return TYPE_NAMES[tensor.dtype], (-1, *(-1 if isinstance(dim, str) else dim for dim in tensor.dims))


def _set_architectures(trt: Any, config: Any, declaration: Submodel, architectures: Sequence[str]) -> None:
    if not architectures:
        return
    config.num_compute_capabilities = len(architectures)
    for place, name in enumerate(architectures):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, name.upper()), place):
            raise ExportError(f"{declaration.name}: TensorRT does not build for {name}")


def _add_profiles(builder: Any, config: Any, declaration: Submodel) -> None:
    for number, shapes_by_input in enumerate(profiles(declaration)):
        profile = builder.create_optimization_profile()
        for name, shapes in shapes_by_input.items():
            profile.set_shape(name, shapes.least, shapes.tuned, shapes.most)
        if config.add_optimization_profile(profile) != number:
            raise ExportError(f"{declaration.name}: TensorRT refuses profile {number}: {shapes_by_input}")


def _open_cache(config: Any, path: Path) -> Any:
    """The cache of earlier builds, or an empty one where there is none or another GPU or version made it."""
    known = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(known)
    if cache is None or not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache
