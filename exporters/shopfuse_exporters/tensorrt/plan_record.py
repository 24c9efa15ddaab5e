"""What a plan was made of and what it runs on: the JSON file beside it, and every reason not to serve it.

Only values and files; it asks no GPU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.ranking.tensors import Submodel
from shopfuse.release.verify import file_problem
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.tensorrt.gpu import Gpu
from shopfuse_exporters.triton.targets import plan_file, profiles

FORMAT = 1


@dataclass(frozen=True, slots=True)
class PlanRecord:
    submodel: str
    precision: str
    onnx_sha256: str
    plan_sha256: str
    tensorrt: str  # such as 11.3.0.99
    cuda: str
    gpu: str
    capability: str
    profiles: list[dict[str, list[list[int]]]]  # input -> [min, opt, max], one for each bucket
    tensors: dict[str, list[str | int]]  # name -> [type, dims...]; -1 is dynamic
    seconds: float
    verified: dict[str, float]  # cases, largest difference and least cosine to the ONNX file's answers
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @property
    def file(self) -> str:
        """The plan's name, the one that config.pbtxt gives for this GPU."""
        return plan_file(self.capability, ".".join(self.tensorrt.split(".")[:2]))


def plan_folder(workspace: Path, onnx_sha256: str) -> Path:
    return WorkspacePaths(workspace).plans / onnx_sha256


def record_file(plan: str) -> str:
    """The name of the record beside a plan."""
    return f"{plan.removesuffix('.plan')}.json"


def read_record(path: Path) -> PlanRecord:
    """Raises ExportError naming the file where it is not a plan's record."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.get("format") != FORMAT:
            raise ExportError(f"{path}: plan record of format {raw.get('format')}, expected {FORMAT}")
        return PlanRecord(**raw)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror})") from error
    except (AttributeError, TypeError, ValueError) as error:
        names = ", ".join(field.name for field in fields(PlanRecord))
        raise ExportError(f"{path}: not a plan record, expected the fields {names} ({error})") from error


def plan_problems(record: PlanRecord, gpu: Gpu, tensorrt: str) -> list[str]:
    """Why a Triton with this GPU and this TensorRT (all four numbers) cannot serve the plan; empty where it can.

    Compute capability alone is not enough: kernels are chosen for one GPU's cores, memory and clocks, and L4 and L40S
    are both 8.9.
    """
    wanted = (("GPU", record.gpu, gpu.name), ("compute capability", record.capability, gpu.capability))
    versions = (("TensorRT", record.tensorrt, tensorrt),)
    return [
        f"{record.submodel}: {record.file} was built for {what} {built}, this is {here}"
        for what, built, here in (*wanted, *versions)
        if built != here
    ]


def record_problems(record: PlanRecord, declaration: Submodel, onnx_sha256: str, plan: Path) -> list[str]:
    """Why a plan does not belong to this model as it is declared now, or is not the file that was recorded."""
    return list(_record_problems(record, declaration, onnx_sha256, plan))


def _record_problems(record: PlanRecord, declaration: Submodel, onnx_sha256: str, plan: Path) -> Iterator[str]:
    if record.submodel != declaration.name:
        yield f"{plan}: a plan of {record.submodel}, expected one of {declaration.name}"
    if record.onnx_sha256 != onnx_sha256:
        yield f"{plan}: built from the ONNX file {record.onnx_sha256[:12]}, expected {onnx_sha256[:12]}"
    if record.profiles != profile_lists(declaration):
        yield f"{plan}: its profiles are not those of the buckets of {declaration.name}"
    if not record.verified:
        yield f"{plan}: it was never compared with its ONNX file"
    if plan.name != record.file:
        yield f"{plan}: its record is one of {record.file}"
    if problem := file_problem(plan, record.plan_sha256):
        yield problem


def profile_lists(declaration: Submodel) -> list[dict[str, list[list[int]]]]:
    """The profiles as JSON has them."""
    return [
        {name: [list(shapes.least), list(shapes.tuned), list(shapes.most)] for name, shapes in profile.items()}
        for profile in profiles(declaration)
    ]
