"""Writes golden.safetensors: requests and the answers that torch gives, for every model and ensemble of a release.

Each tensor is stored once, by case and name, whichever models take or give it; what can be derived is not stored: no
padding (zeros, masks included, up to the sizes in the metadata) and no copy for each model. About 1 MB. The expected
answers are torch's in fp32; the bounds are those of the release's precisions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import nn

from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import COUNT_BUCKETS, LENGTH_BUCKETS, Arrays, Submodel, Tensor, bucket
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.precision.precisions import worst
from shopfuse_exporters.release.golden_cases import golden_cases
from shopfuse_exporters.triton.ensembles import ROLES, joined_tensors, roles_of
from shopfuse_exporters.verify.cases import RealInputs
from shopfuse_exporters.verify.difference import direction_cosines
from shopfuse_exporters.verify.tolerances import Tolerance, tolerance
from shopfuse_exporters.verify.verified_model import VerifiedModel

FORMAT = 1
# An accepted model is beyond its tolerance: Triton's may be this many times as far off as the file was here.
ROOM_FOR_ACCEPTED = 2.0


@dataclass(frozen=True, slots=True)
class _Step:
    verified: VerifiedModel
    session: OnnxModel

    @property
    def declaration(self) -> Submodel:
        return self.verified.declaration


@dataclass(frozen=True, slots=True)
class _Served:
    """A plain model, or an ensemble by its role: what it takes, what it gives, and which models make it."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    steps: tuple[_Step, ...]

    @property
    def precision(self) -> str:
        return worst(step.verified.precision for step in self.steps)


def write_golden(
    path: Path,
    verified: Mapping[str, VerifiedModel],
    modules: Mapping[str, nn.Module],
    tokens: Sequence[Sequence[int]],
    real_inputs: Mapping[str, RealInputs],
    max_tokens: int = LENGTH_BUCKETS[-1],
    target: str = "cpu",
) -> Path:
    """Writes the golden file of a release of these models.

    `tokens` are those of golden queries, `real_inputs` by model are what they were verified with. Raises ParityError
    where there is no query, and where the exported models, chained in this process, already miss the expectations.
    """
    texts = [ids for ids in tokens if ids]
    if not texts:
        raise ParityError(f"{path.name}: the golden set is empty: no query has a token")
    declared = {name: model.declaration for name, model in verified.items()}
    cases = golden_cases(declared, modules, texts, real_inputs, max_tokens)
    steps = {name: _Step(model, model.open()) for name, model in verified.items()}
    served = [*_plain(steps), *_ensembles(steps)]
    metadata = {
        "format": FORMAT,
        "cases": [_described(case) for case in cases],
        "axes": _axes(served),
        "models": {one.name: _expectations(one, cases, target) for one in served},
    }
    kept = {tensor.name for one in served for tensor in (*one.inputs, *one.outputs)}
    tensors = {
        f"{place}/{name}": np.ascontiguousarray(case[name]) for place, case in enumerate(cases) for name in sorted(kept)
    }
    path.write_bytes(save(tensors, {"golden": json.dumps(metadata, sort_keys=True)}))
    return path


def _plain(steps: Mapping[str, _Step]) -> Iterator[_Served]:
    for name, step in steps.items():
        yield _Served(name, step.declaration.inputs, step.declaration.outputs, (step,))


def _ensembles(steps: Mapping[str, _Step]) -> Iterator[_Served]:
    """With the steps that the release has, as ensemble_config does."""
    for role in roles_of(steps):
        names, outputs = ROLES[role]
        chain = tuple(steps[name] for name in names if name in steps)
        inputs, produced = joined_tensors([step.declaration for step in chain])
        yield _Served(role, tuple(inputs), tuple(produced[name] for name in outputs if name in produced), chain)


def _described(case: Arrays) -> dict[str, Any]:
    """A name for messages, and the sizes that its dynamic axes are padded to."""
    length, count = len(case["input_ids"]), len(case["candidate_mask"])
    sizes = {"length": bucket(length, LENGTH_BUCKETS), "candidates": bucket(count, COUNT_BUCKETS)}
    return {"name": f"{length} tokens, {count} candidates", "sizes": sizes}


def _axes(served: Sequence[_Served]) -> dict[str, str]:
    """The dynamic axis of each tensor that has one; it is the first after the batch."""
    tensors = (tensor for one in served for tensor in (*one.inputs, *one.outputs))
    return {tensor.name: tensor.dims[0] for tensor in tensors if isinstance(tensor.dims[0], str)}


def _expectations(served: _Served, cases: Sequence[Arrays], target: str) -> dict[str, Any]:
    actual = [_chained(served.steps, case) for case in cases]
    outputs = {
        tensor.name: _bound(served, tensor.name, _difference(tensor.name, cases, actual), target)
        for tensor in served.outputs
    }
    return {"inputs": [tensor.name for tensor in served.inputs], "outputs": outputs}


def _chained(steps: Sequence[_Step], case: Arrays) -> Arrays:
    """What the exported models give in this process, one after the other, each padded as Triton gets it."""
    known = {name: value[None] for name, value in case.items()}
    for step in steps:
        inputs = {
            tensor.name: _padded(known[tensor.name], tensor, step.declaration) for tensor in step.declaration.inputs
        }
        known |= step.session.run(inputs)
    return {name: value[0] for name, value in known.items()}


def _padded(value: NDArray[np.generic], tensor: Tensor, declaration: Submodel) -> NDArray[np.generic]:
    if not isinstance(tensor.dims[0], str):
        return value
    missing = bucket(value.shape[1], declaration.buckets[tensor.dims[0]]) - value.shape[1]
    return np.pad(value, [(0, 0), (0, missing), *[(0, 0)] * (value.ndim - 2)])


def _difference(output: str, cases: Sequence[Arrays], actual: Sequence[Arrays]) -> tuple[float, float]:
    """(largest difference, least cosine) over the cases."""
    largest, least = 0.0, 1.0
    for case, answer in zip(cases, actual, strict=True):
        expected = case[output].astype(np.float64)
        values = answer[output][: len(expected)].astype(np.float64)
        largest = max(largest, float(np.abs(expected - values).max(initial=0.0)))
        least = min(least, float(direction_cosines(expected[None], values[None]).min(initial=1.0)))
    return largest, least


def _bound(served: _Served, output: str, difference: tuple[float, float], target: str) -> dict[str, float]:
    allowed = _allowed(served, output, target)
    largest, cosine = difference
    if any(step.verified.report.accepted for step in served.steps):
        return {
            "max_abs": max(allowed.max_abs, ROOM_FOR_ACCEPTED * largest),
            "cosine_min": min(allowed.cosine_min, 1.0 - ROOM_FOR_ACCEPTED * (1.0 - cosine)),
        }
    if not (largest <= allowed.max_abs and cosine >= allowed.cosine_min):
        raise ParityError(
            f"{served.name}: output '{output}' in {served.precision} misses a golden expectation: largest difference "
            f"{largest:.3g} (allowed {allowed.max_abs:.3g}), cosine {cosine:.6f} (at least {allowed.cosine_min})"
        )
    return {"max_abs": allowed.max_abs, "cosine_min": allowed.cosine_min}


def _allowed(served: _Served, output: str, target: str) -> Tolerance:
    """GPUs multiply fp32 in TF32, whose mantissa is that of fp16."""
    precision = served.precision if target == "cpu" else worst(("fp16", served.precision))
    return tolerance(served.steps[-1].declaration, output, precision)
