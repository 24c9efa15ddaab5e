"""A model that may go into a release: exported, converted to its precision, and found to answer as its torch module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.onnx.export import export_submodel
from shopfuse_exporters.onnx.weights import check_module_weights
from shopfuse_exporters.precision.convert import convert
from shopfuse_exporters.precision.precisions import FULL
from shopfuse_exporters.verify.cases import RealInputs, reference_cases
from shopfuse_exporters.verify.parity import ParityReport, verify_submodel
from shopfuse_exporters.verify.tolerances import known


@dataclass(frozen=True, slots=True)
class VerifiedModel:
    declaration: Submodel
    path: Path
    report: ParityReport
    precision: str = FULL

    def open(self) -> OnnxModel:
        return OnnxModel(self.declaration, self.path)


def export_verified(
    declaration: Submodel,
    module: nn.Module,
    folder: Path,
    real_inputs: RealInputs | None = None,
    precision: str = FULL,
    accept: str | None = None,
    *,
    for_gpu: bool = False,
) -> VerifiedModel:
    """Exports `module` into `folder` in `precision` and checks it; `real_inputs` also calibrate static scales,
    and `for_gpu` says what kind of them.

    Raises ExportError or ParityError. `accept` is the reason to release a model whose answers are beyond their
    tolerances; it goes into the report. Another precision is made from an fp32 file that passed: a wrong export is
    never excused by a precision.
    """
    known(precision)
    check_module_weights(declaration.name, module)
    real = dict(real_inputs or {})
    path = export_submodel(declaration, module, folder / f"{declaration.name}.onnx")
    cases = reference_cases(declaration, module, real)
    report = verify_submodel(declaration, cases, path, real, accept=accept if precision == FULL else None)
    if precision != FULL:
        target = folder / f"{declaration.name}.{precision}.onnx"
        path = convert(declaration, path, precision, real, target, for_gpu=for_gpu)
        report = verify_submodel(declaration, cases, path, real, precision, accept)
    return VerifiedModel(declaration, path, report, precision)
