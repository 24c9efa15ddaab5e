"""Engines of a build's models by TensorRT for RTX: built, or found again, and ready to be put beside the ONNX files.

An engine lies in WORKSPACE/plans/<sha256 of the ONNX file>/ with its record and the file that onnxruntime opens,
whole or not at all. A model that TensorRT refuses goes without: its ONNX file serves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import TensorProto, helper

from shopfuse.core.atomic_files import atomic_folder
from shopfuse.core.progress import Progress, silent
from shopfuse.ranking.tensors import DataType, Submodel, Tensor
from shopfuse.release.manifest import MODEL_FILE
from shopfuse.release.verify import file_problem, sha256_file
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.tensorrt.engine_check import opens
from shopfuse_exporters.tensorrt.network import serialized_engine
from shopfuse_exporters.tensorrt.plan_record import profile_lists
from shopfuse_exporters.tensorrt.rtx import Rtx
from shopfuse_exporters.triton.targets import ENGINE_FILE, ENGINE_RECORD, ENGINE_WRAPPER
from shopfuse_exporters.verify.verified_model import VerifiedModel

PROVIDER: Final = "NvTensorRTRTXExecutionProvider"
FORMAT: Final = 1
_ONNX_TYPES: dict[DataType, int] = {
    "FP32": TensorProto.FLOAT,
    "FP16": TensorProto.FLOAT16,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
}


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """What an engine was made of and where it runs. Triton's onnxruntime backend reads its JSON first of all."""

    submodel: str
    precision: str
    onnx_sha256: str
    engine_sha256: str
    tensorrt: str  # all four numbers, such as 1.7.1.116
    architectures: list[str]  # such as ["sm86", "sm89"]: one engine runs on all of them
    profiles: list[dict[str, list[list[int]]]]  # input -> [min, opt, max], one for each bucket
    opened: bool  # by a GPU of the machine that built it; False where that had none
    bytes: int
    seconds: float
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def read_engine_record(path: Path) -> EngineRecord | None:
    """None where there is none of this format."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return EngineRecord(**raw) if raw.get("format") == FORMAT else None
    except (OSError, AttributeError, TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Engines:
    """`folders` by submodel hold the files of its engine; `refused` says why a model has none."""

    folders: Mapping[str, Path]
    refused: Mapping[str, str]

    def metrics(self) -> dict[str, Any]:
        """For the manifest: what each engine is, or why there is none."""
        records = {name: read_engine_record(folder / ENGINE_RECORD) for name, folder in self.folders.items()}
        built = {
            name: {
                "tensorrt": record.tensorrt,
                "architectures": record.architectures,
                "opened": record.opened,
                "bytes": record.bytes,
                "seconds": record.seconds,
            }
            for name, record in records.items()
            if record is not None
        }
        return {**built, **{name: {"refused": reason} for name, reason in self.refused.items()}}

    def files(self, submodel: str) -> dict[str, Path]:
        """What lies beside the ONNX file of a submodel in a release: path by file name."""
        folder = self.folders.get(submodel)
        return {} if folder is None else {name: folder / name for name in (ENGINE_FILE, ENGINE_RECORD, ENGINE_WRAPPER)}


def build_engines(plans: Path, models: Mapping[str, VerifiedModel], rtx: Rtx, progress: Progress = silent) -> Engines:
    """Raises ExportError where TensorRT refuses every model."""
    folders: dict[str, Path] = {}
    refused: dict[str, str] = {}
    for done, (name, model) in enumerate(models.items()):
        progress(f"build engine of {name}", done, len(models))
        try:
            folders[name] = engine_of(plans, model.declaration, model.path, model.precision, rtx)
        except ExportError as error:
            refused[name] = str(error)
    progress("build engines", len(models), len(models))
    if not folders:
        raise ExportError(f"TensorRT refuses every model: {'; '.join(refused.values())}")
    return Engines(folders, refused)


def engine_of(plans: Path, declaration: Submodel, onnx_file: Path, precision: str, rtx: Rtx) -> Path:
    """The folder of the engine of one ONNX file, built now where it is not there. Raises ExportError."""
    digest = sha256_file(onnx_file)
    folder = plans / digest / "-".join(("rtx", rtx.version, *rtx.architectures))
    record = read_engine_record(folder / ENGINE_RECORD)
    if record is not None and not engine_problems(folder, record, declaration, digest, rtx):
        return folder
    started = time.perf_counter()
    engine = serialized_engine(rtx.trt, onnx_file, declaration, architectures=rtx.architectures)
    opened = opens(rtx.trt, declaration, engine)
    record = EngineRecord(
        submodel=declaration.name,
        precision=precision,
        onnx_sha256=digest,
        engine_sha256=sha256(engine).hexdigest(),
        tensorrt=rtx.version,
        architectures=list(rtx.architectures),
        profiles=profile_lists(declaration),
        opened=opened,
        bytes=len(engine),
        seconds=round(time.perf_counter() - started, 1),
    )
    with atomic_folder(folder) as staged:
        (staged / ENGINE_FILE).write_bytes(engine)
        onnx.save(wrapper(declaration, rtx.architectures), staged / ENGINE_WRAPPER)
        (staged / ENGINE_RECORD).write_text(record.to_json(), encoding="utf-8")
    return folder


def engine_problems(folder: Path, record: EngineRecord, declaration: Submodel, onnx_sha256: str, rtx: Rtx) -> list[str]:
    """Why an engine that was found is not the one that would be built now, or is not whole."""
    wanted = (
        ("a model", record.submodel, declaration.name),
        ("an ONNX file", record.onnx_sha256, onnx_sha256),
        ("TensorRT", record.tensorrt, rtx.version),
        ("architectures", record.architectures, list(rtx.architectures)),
        ("profiles", record.profiles, profile_lists(declaration)),
    )
    problems = [
        f"{folder / ENGINE_FILE}: of {what} {found}, expected {here}" for what, found, here in wanted if found != here
    ]
    damaged = file_problem(folder / ENGINE_FILE, record.engine_sha256)
    return problems + ([damaged] if damaged else [])


def wrapper(declaration: Submodel, architectures: tuple[str, ...]) -> onnx.ModelProto:
    """The model that onnxruntime opens: one EPContext node, whose engine lies beside it.

    https://onnxruntime.ai/docs/execution-providers/EP-Context-Design.html
    """
    inputs = [_value(tensor) for tensor in declaration.inputs]
    outputs = [_value(tensor) for tensor in declaration.outputs]
    node = helper.make_node(
        "EPContext",
        [value.name for value in inputs],
        [value.name for value in outputs],
        name=declaration.name,
        domain="com.microsoft",
        main_context=1,
        embed_mode=0,
        ep_cache_context=ENGINE_FILE,
        source=PROVIDER,
        partition_name=declaration.name,
        hardware_architecture=",".join(architectures),
        onnx_model_filename=MODEL_FILE,
    )
    graph = helper.make_graph([node], declaration.name, inputs, outputs)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _value(tensor: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, _ONNX_TYPES[tensor.dtype], ("batch", *tensor.dims))
