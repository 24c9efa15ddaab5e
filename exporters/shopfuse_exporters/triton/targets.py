"""What a release can be made to run on, and the shapes that a GPU must be told of in advance.

cpu: onnxruntime. gpu-ort: onnxruntime with TensorRT inside, CUDA where TensorRT cannot. tensorrt: plans that were
built before, on the kind of GPU that serves. tensorrt-rtx: engines that were built before, on any machine, for RTX
GPUs, and onnxruntime where they do not fit. No file is written here and no GPU is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.errors import ExportError

CPU, GPU_ORT, PLANS, ENGINES = "cpu", "gpu-ort", "tensorrt", "tensorrt-rtx"
TARGETS: Final = (CPU, GPU_ORT, PLANS, ENGINES)
GPU_PRECISIONS: Final = ("fp32", "fp16", "int8_static")
# Triton's container 26.09 carries TensorRT 11.3. A plan runs on the version that built it and on no other, so both
# change together, here and in k8s/jobs/tensorrt-plans.
TENSORRT: Final = "11.3"
# Compute capabilities that TensorRT 11 builds for: T4; A100; A10; L4 and L40S; H100 and H200; B200; B300; RTX PRO.
CAPABILITIES: Final = ("7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "10.3", "12.0")
# The files of an engine for RTX GPUs, and what onnxruntime opens: one node, which names the engine.
ENGINE_FILE, ENGINE_RECORD, ENGINE_WRAPPER = "model.rtx.engine", "model.rtx.json", "model.rtx.onnx"
_TUNED_BATCH = 8  # the gateway sends queries one by one; Triton joins those that wait


@dataclass(frozen=True, slots=True)
class Shapes:
    """Of one input, with the batch: every shape between `least` and `most` is served, `tuned` is the fastest."""

    least: tuple[int, ...]
    tuned: tuple[int, ...]
    most: tuple[int, ...]


Profile = dict[str, Shapes]  # by input


def check_target(target: str) -> None:
    """Raises ExportError for a target that does not exist."""
    if target not in TARGETS:
        raise ExportError(f"target {target!r}: expected one of {', '.join(TARGETS)}")


def check_buildable(target: str, precisions: Iterable[str]) -> None:
    """Raises ExportError for what `shopfuse build` cannot make: said before anything is trained."""
    check_target(target)
    if target == PLANS:
        raise ExportError(
            f"target {PLANS}: plans are built on the GPU that serves, in NVIDIA's container. Build with --target "
            f"{GPU_ORT}, then run `shopfuse tensorrt build` there (k8s/jobs/tensorrt-plans) and `shopfuse tensorrt "
            "seal` here: docs/targets.md"
        )
    if target != CPU and (unfit := sorted(set(precisions) - set(GPU_PRECISIONS))):
        raise ExportError(
            f"target {target}: precision {', '.join(unfit)} is for CPUs; on a GPU one of {', '.join(GPU_PRECISIONS)}"
        )


def plan_file(capability: str, tensorrt: str = TENSORRT) -> str:
    """plan_file("9.0", "11.3") -> "model.sm90.trt11.3.plan"."""
    return f"model.sm{capability.replace('.', '')}.trt{tensorrt}.plan"


def profiles(declaration: Submodel) -> tuple[Profile, ...]:
    """One profile for each bucket, tuned to its edge. Their ranges do not overlap: each shape has one profile."""
    return tuple(_profile(declaration, *sizes) for sizes in _ranges(declaration))


def whole_profile(declaration: Submodel) -> Profile:
    """One profile for all buckets, tuned to the smallest: queries are short."""
    ranges = _ranges(declaration)
    return _profile(declaration, ranges[0][0], ranges[0][1], ranges[-1][2])


Sizes = dict[str, int]  # of the dynamic axes


def _ranges(declaration: Submodel) -> list[tuple[Sizes, Sizes, Sizes]]:
    """(smallest, tuned, largest) sizes bucket by bucket; no submodel has more than one dynamic axis."""
    if len(declaration.buckets) > 1:
        raise ExportError(f"{declaration.name}: expected at most one dynamic axis, found {list(declaration.buckets)}")
    ranges: list[tuple[Sizes, Sizes, Sizes]] = []
    for axis, edges in declaration.buckets.items():
        lowest = (1, *(edge + 1 for edge in edges[:-1]))
        ranges += [({axis: low}, {axis: edge}, {axis: edge}) for low, edge in zip(lowest, edges, strict=True)]
    return ranges or [({}, {}, {})]


def _profile(declaration: Submodel, least: Sizes, tuned: Sizes, most: Sizes) -> Profile:
    batch = min(_TUNED_BATCH, declaration.max_batch)
    return {
        tensor.name: Shapes(
            tensor.shape(1, least), tensor.shape(batch, tuned), tensor.shape(declaration.max_batch, most)
        )
        for tensor in declaration.inputs
    }
