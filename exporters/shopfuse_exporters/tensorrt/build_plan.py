"""Builds the plans of a release on this machine's GPU: python -m shopfuse_exporters.tensorrt.build_plan.

Runs in NVIDIA's TensorRT container of the month of the Triton that will serve, on the GPU that will serve. The release
is read and never written: plans go to WORKSPACE/plans/<sha256 of the ONNX file>/, whole or not at all, and
plan_release makes a release of them. What is built and still fits is not built again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from shopfuse.core.atomic_files import write_bytes
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import Submodel
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import ModelVersion, model_file
from shopfuse.release.verify import read_manifest, verify_release
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.tensorrt.gpu import Gpu, local_gpu
from shopfuse_exporters.tensorrt.network import check_version, serialized_engine
from shopfuse_exporters.tensorrt.plan_record import (
    PlanRecord,
    plan_folder,
    plan_problems,
    profile_lists,
    read_record,
    record_file,
    record_problems,
)
from shopfuse_exporters.tensorrt.plan_session import PlanModel
from shopfuse_exporters.tensorrt.plan_verification import golden_inputs, verify_plan
from shopfuse_exporters.triton.targets import CAPABILITIES


@dataclass(frozen=True, slots=True)
class Toolkit:
    """The two libraries of NVIDIA's container, and the GPU."""

    trt: Any
    cudart: Any
    gpu: Gpu

    @property
    def tensorrt(self) -> str:
        return str(self.trt.__version__)


@dataclass(frozen=True, slots=True)
class _Source:
    """One model of the release."""

    declaration: Submodel
    version: ModelVersion
    onnx: Path
    golden: Path


def open_toolkit() -> Toolkit:
    """Raises ExportError where a library, the right version of TensorRT, or a GPU is missing."""
    try:
        trt, cudart = import_module("tensorrt"), import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise ExportError(f"plans are built in NVIDIA's TensorRT container, with cuda-bindings ({error})") from error
    check_version(trt)
    gpu = local_gpu(cudart)
    if gpu.capability not in CAPABILITIES:
        raise ExportError(f"{gpu.name}: compute capability {gpu.capability}, expected one of {', '.join(CAPABILITIES)}")
    return Toolkit(trt, cudart, gpu)


def build_plans(
    workspace: Path, release_id: str, public_key: Path, toolkit: Toolkit, progress: Progress = silent
) -> dict[str, PlanRecord]:
    """The records by submodel, of plans that were there and fit, and of those that were built now.

    Raises ExportError or ParityError naming the model; plans that were finished before stay.
    """
    root = WorkspacePaths(workspace).release(release_id)
    verify_release(root, public_key)  # what is built here will be served: not from files that anyone put there
    sources = list(_sources(root))
    records = {}
    for done, source in enumerate(sources):
        progress(f"build plan of {source.declaration.name}", done, len(sources))
        records[source.declaration.name] = _fitting(workspace, source, toolkit) or _built(workspace, source, toolkit)
    progress("build plans", len(sources), len(sources))
    return records


def _sources(root: Path) -> Iterator[_Source]:
    manifest = read_manifest(root)
    layout, declared = ReleaseLayout(root), manifest.declared()
    for name, version in manifest.models.items():
        onnx = root / model_file(version)
        yield _Source(declared[name], version, onnx, layout.golden)


def _fitting(workspace: Path, source: _Source, toolkit: Toolkit) -> PlanRecord | None:
    """The record of a plan that need not be built again."""
    known = plans_of(workspace, source.declaration, source.version.sha256)
    return next((one for one in known.values() if not plan_problems(one, toolkit.gpu, toolkit.tensorrt)), None)


def plans_of(workspace: Path, declaration: Submodel, onnx_sha256: str) -> Mapping[Path, PlanRecord]:
    """Whole and verified plans of an ONNX file, whatever GPU they are for; others are left out, as if not built."""
    plans = {}
    for path in sorted(plan_folder(workspace, onnx_sha256).glob("*.json")):
        record = read_record(path)
        plan = path.with_name(record.file)
        if not record_problems(record, declaration, onnx_sha256, plan):
            plans[plan] = record
    return plans


def _built(workspace: Path, source: _Source, toolkit: Toolkit) -> PlanRecord:
    declaration, version = source.declaration, source.version
    started = time.perf_counter()
    plan = serialized_engine(toolkit.trt, source.onnx, declaration, timing_cache=_timing_cache(workspace, toolkit))
    seconds = time.perf_counter() - started
    opened = PlanModel(toolkit.trt, toolkit.cudart, declaration, plan)
    cases = golden_inputs(source.golden, declaration)
    reference = OnnxModel(declaration, source.onnx)
    verified = verify_plan(declaration, version.precision, opened.run, reference.run, cases)
    record = PlanRecord(
        submodel=declaration.name,
        precision=version.precision,
        onnx_sha256=version.sha256,
        plan_sha256=sha256(plan).hexdigest(),
        tensorrt=toolkit.tensorrt,
        cuda=toolkit.gpu.cuda,
        gpu=toolkit.gpu.name,
        capability=toolkit.gpu.capability,
        profiles=profile_lists(declaration),
        tensors=opened.tensors(),
        seconds=round(seconds, 1),
        verified=verified,
    )
    _write(plan_folder(workspace, version.sha256), record, plan)
    return record


def _timing_cache(workspace: Path, toolkit: Toolkit) -> Path:
    """Of this GPU and TensorRT; shared by all models."""
    return (
        WorkspacePaths(workspace).plans
        / f"timing.sm{toolkit.gpu.capability.replace('.', '')}.trt{toolkit.tensorrt}.cache"
    )


def _write(folder: Path, record: PlanRecord, plan: bytes) -> None:
    """The record last: a plan without one does not exist."""
    record_path = folder / record_file(record.file)
    record_path.unlink(missing_ok=True)
    write_bytes(folder / record.file, plan)
    write_bytes(record_path, record.to_json().encode())


def main() -> None:
    """For the container, where the package is installed without its command line's other needs."""
    parser = argparse.ArgumentParser(prog="build_plan", description="Build the TensorRT plans of a release.")
    parser.add_argument("--workspace", type=Path, required=True, help="folder that holds the shop")
    parser.add_argument("--release", required=True, help="release id such as r7")
    arguments = parser.parse_args()
    key = WorkspacePaths(arguments.workspace).public_key
    try:
        records = build_plans(arguments.workspace, arguments.release, key, open_toolkit())
    except ShopfuseError as error:
        sys.exit(f"error: {error}")
    for name, record in records.items():
        print(f"{name}: {record.file}, {record.seconds} s, {record.verified}", flush=True)


if __name__ == "__main__":
    main()
