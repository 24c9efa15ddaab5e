"""An ONNX file to the bytes of a plan, through TensorRT's Python API, which is passed in.

TensorRT 11 knows strongly typed networks only: the precision is the ONNX file's, and no flag here changes it. What the
calls take is checked against NVIDIA's bindings in tests; whether they give what they should needs a GPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shopfuse.core.atomic_files import write_bytes
from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.triton.model_config import WORKSPACE_BYTES
from shopfuse_exporters.triton.targets import TENSORRT, profiles


def check_version(trt: Any) -> None:
    """Raises ExportError where this is not the TensorRT that config.pbtxt names plans of."""
    if not trt.__version__.startswith(f"{TENSORRT}."):
        raise ExportError(f"expected TensorRT {TENSORRT}, found {trt.__version__}: use the container of the same month")


def serialized_plan(trt: Any, onnx: Path, declaration: Submodel, timing_cache: Path) -> bytes:
    """The plan of one ONNX file, with one profile for each bucket.

    `timing_cache` keeps what kernels were measured for the next build. Raises ExportError naming operators and nodes,
    or with TensorRT's own errors.
    """
    log = error_log(trt)
    builder = trt.Builder(log)
    network = _parsed(trt, builder, log, onnx, declaration)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.clear_flag(trt.BuilderFlag.TF32)  # it rounds fp32 to 10 bits, and parity ends there
    _add_profiles(builder, config, declaration)
    cache = _open_cache(config, timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError(
            f"{declaration.name}: TensorRT built no plan of {onnx}: {'; '.join(log.errors) or 'no reason'}"
        )
    write_bytes(timing_cache, bytes(cache.serialize()))
    return bytes(plan)


def error_log(trt: Any) -> Any:
    """A logger that keeps errors for messages; what is less than an error is about TensorRT's own choices."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(msg)

    return Log()


def _parsed(trt: Any, builder: Any, log: Any, onnx: Path, declaration: Submodel) -> Any:
    network = builder.create_network()
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        reasons = [f"{error.node_operator()} (node '{error.node_name()}'): {error.desc()}" for error in errors]
        raise ExportError(f"{declaration.name}: TensorRT cannot read {onnx}: {'; '.join(reasons)}")
    inputs = [network.get_input(index).name for index in range(network.num_inputs)]
    declared = [tensor.name for tensor in declaration.inputs]
    if sorted(inputs) != sorted(declared):
        raise ExportError(f"{declaration.name}: expected inputs {declared}, TensorRT found {inputs} in {onnx}")
    return network


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
