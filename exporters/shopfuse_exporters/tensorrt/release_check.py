"""Every model of a release through TensorRT's parser and builder, on a machine without a GPU. Nothing is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from shopfuse.core.progress import Progress, silent
from shopfuse.ranking.tensors import Submodel
from shopfuse.release.manifest import model_file
from shopfuse.release.verify import read_manifest
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.tensorrt.engine_check import opens
from shopfuse_exporters.tensorrt.network import serialized_engine
from shopfuse_exporters.tensorrt.rtx import Rtx


@dataclass(frozen=True, slots=True)
class Checked:
    """`opened` is False where no GPU was there to open the engine; `refused` says why there is none."""

    submodel: str
    precision: str
    seconds: float
    bytes: int = 0
    opened: bool = False
    refused: str = ""


def check_release(root: Path, rtx: Rtx, progress: Progress = silent) -> list[Checked]:
    """In the order of the manifest. Raises ReleaseError where this is no release."""
    manifest = read_manifest(root)
    declared, checked = manifest.declared(), []
    for done, (name, model) in enumerate(manifest.models.items()):
        progress(f"build engine of {name}", done, len(manifest.models))
        checked.append(check_model(declared[name], root / model_file(model), model.precision, rtx))
    progress("build engines", len(manifest.models), len(manifest.models))
    return checked


def check_model(declaration: Submodel, onnx: Path, precision: str, rtx: Rtx) -> Checked:
    started = time.perf_counter()
    try:
        engine = serialized_engine(rtx.trt, onnx, declaration, architectures=rtx.architectures)
        opened = opens(rtx.trt, declaration, engine)
    except ExportError as error:
        return Checked(declaration.name, precision, time.perf_counter() - started, refused=str(error))
    return Checked(declaration.name, precision, time.perf_counter() - started, len(engine), opened)
