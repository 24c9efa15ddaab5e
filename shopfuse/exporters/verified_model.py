"""A model that may go into a release: exported, and found to answer as its torch module does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from shopfuse.exporters.onnx_export import export_submodel
from shopfuse.exporters.onnx_session import OnnxModel
from shopfuse.exporters.parity import ParityReport, verify_submodel
from shopfuse.ranking.tensors import Submodel


@dataclass(frozen=True, slots=True)
class VerifiedModel:
    declaration: Submodel
    path: Path
    report: ParityReport

    def open(self) -> OnnxModel:
        return OnnxModel(self.declaration, self.path)


def export_verified(
    declaration: Submodel,
    module: nn.Module,
    folder: Path,
    real_inputs: Mapping[str, NDArray[np.generic]] | None = None,
) -> VerifiedModel:
    """Exports `module` into `folder` and checks it. Raises ExportError or ParityError."""
    path = export_submodel(declaration, module, folder / f"{declaration.name}.onnx")
    return VerifiedModel(declaration, path, verify_submodel(declaration, module, path, real_inputs))
