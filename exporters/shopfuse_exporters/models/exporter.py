"""Exports the models of one build: each in the precision that was asked for, verified, and timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from torch import nn

from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.errors import ParityError, PrecisionError
from shopfuse_exporters.precision.precisions import FULL, Precisions
from shopfuse_exporters.steps import StepTimes
from shopfuse_exporters.verify.cases import RealInputs
from shopfuse_exporters.verify.verified_model import VerifiedModel, export_verified


class Export(Protocol):
    """Makes and verifies one model; `accept` is the reason to release it beyond its tolerances."""

    def __call__(self, *, precision: str, accept: str | None) -> VerifiedModel: ...


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """A model of the release, the module that it was made from, and the shop's rows that it was verified with."""

    verified: VerifiedModel
    module: nn.Module
    real: RealInputs
    kept_in_fp32: str = ""  # why it is not in the precision that was asked for

    @property
    def name(self) -> str:
        return self.verified.declaration.name


@dataclass(frozen=True, slots=True)
class ModelExporter:
    folder: Path  # of the exported files
    precisions: Precisions
    accepted: Mapping[str, str]  # submodel whose parity gate may fail -> recorded reason
    times: StepTimes
    for_gpu: bool = False  # int8 as TensorRT reads it

    def export(self, declaration: Submodel, module: nn.Module, real: RealInputs) -> ExportedModel:
        """Exports and verifies one model. Raises ExportError or ParityError."""
        return self.export_by(
            partial(export_verified, declaration, module, self.folder, real, for_gpu=self.for_gpu),
            declaration.name,
            module,
            real,
        )

    def export_by(self, export: Export, name: str, module: nn.Module, real: RealInputs) -> ExportedModel:
        """What `export` gives in the precision that was asked for; in fp32, noted, where that cannot be had and the
        model was not named."""
        make = partial(export, accept=self.accepted.get(name))
        precision = self.precisions.of(name)
        with self.times.step(f"export {name}"):
            try:
                return ExportedModel(make(precision=precision), module, real)
            except (PrecisionError, ParityError) as error:
                if name in self.precisions.named or precision == FULL:
                    raise
                return ExportedModel(make(precision=FULL), module, real, str(error))
