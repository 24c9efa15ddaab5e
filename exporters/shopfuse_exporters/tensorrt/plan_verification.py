"""Compares a plan with the ONNX file that it was built from, on the golden inputs of the release.

onnxruntime on the CPU is the reference. Rankings are judged again when the release is published.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from shopfuse.ranking.tensors import Arrays, Submodel, bucket, pad_rows
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.precision.precisions import worst
from shopfuse_exporters.verify.difference import Difference, compare
from shopfuse_exporters.verify.tolerances import tolerance

Run = Callable[[Arrays], Arrays]


def golden_inputs(path: Path, declaration: Submodel) -> dict[str, Arrays]:
    """The model's inputs of every golden case, [1, ...], padded to a bucket. Raises ParityError where there is none."""
    with safe_open(path, framework="np") as golden:
        described = json.loads(golden.metadata()["golden"])["cases"]
        cases = {
            case["name"]: {
                tensor.name: _padded(golden.get_tensor(f"{place}/{tensor.name}"), tensor.dims, declaration)
                for tensor in declaration.inputs
            }
            for place, case in enumerate(described)
        }
    if not cases:
        raise ParityError(f"{path}: no golden case for {declaration.name}")
    return cases


def _padded(value: NDArray[np.generic], dims: tuple[int | str, ...], declaration: Submodel) -> NDArray[np.generic]:
    if dims and isinstance(dims[0], str):
        value = pad_rows(value, bucket(len(value), declaration.buckets[dims[0]]))
    return value[None]


def verify_plan(
    declaration: Submodel, precision: str, plan: Run, onnx: Run, cases: dict[str, Arrays]
) -> dict[str, float]:
    """{"cases", "max_abs", "cosine_min"} of a plan whose answers are those of the ONNX file, each alone and repeated to
    the largest batch. Raises ParityError with case, output and numbers otherwise."""
    allowed = worst(("fp16", precision))  # other kernels add in another order: fp16's bounds at least
    differences = []
    for name, inputs in cases.items():
        for batch in (1, declaration.max_batch):
            batch_inputs = {tensor: np.repeat(values, batch, axis=0) for tensor, values in inputs.items()}
            case = f"{name}, batch {batch}"
            for difference in compare("torch", case, declaration, onnx(batch_inputs), plan(batch_inputs)):
                _check(declaration, allowed, difference)
                differences.append(difference)
    return {
        "cases": len(cases),
        "max_abs": max(difference.max_abs for difference in differences),
        "cosine_min": min(difference.cosine_min for difference in differences),
    }


def _check(declaration: Submodel, precision: str, difference: Difference) -> None:
    if excess := difference.excess(tolerance(declaration, difference.output, precision)):
        raise ParityError(
            f"{declaration.name}: output '{difference.output}' of the plan differs from the ONNX file's in case "
            f"{difference.case}: {excess}"
        )
