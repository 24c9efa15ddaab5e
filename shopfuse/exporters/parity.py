"""Does the exported model answer as the torch module does, for every shape, in any company, under any padding?

Three questions to each model, on random and on real inputs: torch against onnxruntime at several batch sizes and
every bucket; a row alone against the same row in a batch; a row against itself padded to the larger buckets. The
served model is compared elsewhere: this needs no Triton.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shopfuse.exporters.errors import ParityError
from shopfuse.exporters.onnx_session import OnnxModel
from shopfuse.exporters.sample_inputs import Arrays, random_inputs
from shopfuse.ranking.tensors import NUMPY_TYPE, Submodel, Tensor, bucket

LEAST_COSINE = 0.9999
SHORTEST_VECTOR = 1e-3  # the direction of a shorter one is noise
COMPANY = 8  # rows in the batch that a row is compared in
WITNESSES = 3  # rows of it that are asked alone
SEED = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two answers to the same question; the cosine is the smallest of any row."""

    case: str
    output: str
    max_abs: float
    cosine: float

    def within(self, tolerance: float) -> bool:
        """False for NaN too: a comparison with NaN is never true."""
        return self.max_abs <= tolerance and self.cosine >= LEAST_COSINE


@dataclass(frozen=True, slots=True)
class ParityReport:
    """The evidence that goes into the release manifest."""

    model: str
    tolerance: float
    cases: int
    max_abs_diff: float
    cosine_min: float
    worst_case: str
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


Answer = Callable[[Arrays], Arrays]


def verify_submodel(
    declaration: Submodel, module: nn.Module, path: Path, real_inputs: Mapping[str, NDArray[np.generic]] | None = None
) -> ParityReport:
    """The report of a model that passed; raises ParityError with model, case and numbers otherwise.

    `real_inputs` are rows [n, ...] for some or all inputs, row-aligned, their dynamic axis of any one size; inputs that
    are not given are drawn at random.
    """
    served = OnnxModel(declaration, path).run
    reference = _torch_answer(declaration, module)
    differences = [
        difference
        for found in (
            _against_torch(declaration, reference, served, real_inputs or {}),
            _alone_and_in_company(declaration, served),
            _under_padding(declaration, served),
        )
        for difference in found
    ]
    for difference in differences:
        if not difference.within(declaration.tolerance):
            raise ParityError(_refusal(declaration, difference))
    return _report(declaration, differences)


def _refusal(declaration: Submodel, difference: Difference) -> str:
    return (
        f"{declaration.name}: output '{difference.output}' differs in case {difference.case}: largest difference "
        f"{difference.max_abs:.3g} (allowed {declaration.tolerance:.3g}), cosine {difference.cosine:.6f} "
        f"(at least {LEAST_COSINE})"
    )


def _report(declaration: Submodel, differences: list[Difference]) -> ParityReport:
    worst = max(differences, key=lambda difference: difference.max_abs)
    return ParityReport(
        model=declaration.name,
        tolerance=declaration.tolerance,
        cases=len({difference.case for difference in differences}),
        max_abs_diff=worst.max_abs,
        cosine_min=min(difference.cosine for difference in differences),
        worst_case=worst.case,
        passed=True,
    )


def _torch_answer(declaration: Submodel, module: nn.Module) -> Answer:
    module = module.eval()

    def answer(inputs: Arrays) -> Arrays:
        with torch.no_grad(), _one_torch_thread():
            found = module(*(torch.from_numpy(inputs[tensor.name]) for tensor in declaration.inputs))
        outputs = found if isinstance(found, tuple) else (found,)
        return {tensor.name: value.numpy() for tensor, value in zip(declaration.outputs, outputs, strict=True)}

    return answer


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """For inputs this small, threads that wait for each other cost more than they bring: 6.7 s of CPU against 0.8."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _against_torch(
    declaration: Submodel, reference: Answer, served: Answer, real: Mapping[str, NDArray[np.generic]]
) -> Iterator[Difference]:
    rng = np.random.default_rng(SEED)
    for place, axes in enumerate(_sizes(declaration)):
        # Every bucket, and every batch size, but not every pair: the largest ones would take minutes.
        for batch in sorted({1, 3, 8, declaration.max_batch}) if place == 0 else (1, 3):
            inputs = random_inputs(declaration, batch, axes, rng)
            yield from _compare(f"random{_label(batch, axes)}", declaration, reference(inputs), served(inputs))
    for batch in (1, 8, declaration.max_batch) if real else ():
        inputs, axes = _real_batch(declaration, real, batch, rng)
        yield from _compare(f"real{_label(batch_of(inputs), axes)}", declaration, reference(inputs), served(inputs))


def _alone_and_in_company(declaration: Submodel, served: Answer) -> Iterator[Difference]:
    rng = np.random.default_rng(SEED + 1)
    axes = _sizes(declaration)[0]
    inputs = random_inputs(declaration, min(COMPANY, declaration.max_batch), axes, rng)
    together = served(inputs)
    for row in range(min(WITNESSES, batch_of(inputs))):
        alone = served({name: values[row : row + 1] for name, values in inputs.items()})
        expected = {name: values[row : row + 1] for name, values in together.items()}
        yield from _compare(f"row {row} alone and in a batch of {batch_of(inputs)}", declaration, expected, alone)


def _under_padding(declaration: Submodel, served: Answer) -> Iterator[Difference]:
    """Zeros, masked out, appended along the dynamic axis must not change the answer for what is real."""
    rng = np.random.default_rng(SEED + 2)
    for axis, sizes in declaration.buckets.items():
        small = sizes[0] - 3  # shorter than a bucket too: the catalogue is encoded with finer ones
        inputs = random_inputs(declaration, min(3, declaration.max_batch), {axis: small}, rng)
        expected = served(inputs)
        for size in sizes:
            padded = {tensor.name: _resized(inputs[tensor.name], tensor, size) for tensor in declaration.inputs}
            answer = served(padded)
            kept = {tensor.name: _resized(answer[tensor.name], tensor, small) for tensor in declaration.outputs}
            yield from _compare(f"{axis} {small} padded to {size}", declaration, expected, kept)


def _sizes(declaration: Submodel) -> list[dict[str, int]]:
    """The sizes of the dynamic axes to try; no submodel has more than one."""
    return [{axis: size} for axis, sizes in declaration.buckets.items() for size in sizes] or [{}]


def _real_batch(
    declaration: Submodel, real: Mapping[str, NDArray[np.generic]], batch: int, rng: np.random.Generator
) -> tuple[Arrays, dict[str, int]]:
    """`batch` of the real rows (all, where there are fewer), padded to a bucket, and random values for the rest."""
    rows = min(batch, min(len(values) for values in real.values()))
    axes: dict[str, int] = {}
    for tensor in declaration.inputs:
        for position, axis in enumerate(tensor.dims, 1):
            if isinstance(axis, str) and tensor.name in real:
                axes[axis] = bucket(real[tensor.name].shape[position], declaration.buckets[axis])
    drawn = random_inputs(declaration, rows, axes or _sizes(declaration)[0], rng)
    for tensor in declaration.inputs:
        if tensor.name in real:
            values = real[tensor.name][:rows].astype(NUMPY_TYPE[tensor.dtype])
            drawn[tensor.name] = _resized(values, tensor, next(iter(axes.values()), 0))
    return drawn, axes


def _resized(values: NDArray[np.generic], tensor: Tensor, size: int) -> NDArray[np.generic]:
    """`values` [n, ...] cut or zero-padded to `size` along the tensor's dynamic axis, if it has one."""
    axes = [axis for axis, dim in enumerate(tensor.dims, 1) if isinstance(dim, str)]
    for axis in axes:
        kept = values.take(range(min(size, values.shape[axis])), axis=axis)
        widths = [(0, 0)] * kept.ndim
        widths[axis] = (0, size - kept.shape[axis])
        values = np.pad(kept, widths)
    return values


def batch_of(inputs: Arrays) -> int:
    """The batch size."""
    return len(next(iter(inputs.values())))


def _label(batch: int, axes: dict[str, int]) -> str:
    return "".join([f" batch {batch}", *(f" {axis} {size}" for axis, size in axes.items())])


def _compare(case: str, declaration: Submodel, expected: Arrays, found: Arrays) -> Iterator[Difference]:
    for tensor in declaration.outputs:
        left, right = expected[tensor.name].astype(np.float64), found[tensor.name].astype(np.float64)
        if left.shape != right.shape:
            raise ParityError(
                f"{declaration.name}: output '{tensor.name}' has shape {right.shape} in case {case}, "
                f"expected {left.shape}"
            )
        # np.max keeps a NaN: a model that answers NaN on both sides fails here.
        with np.errstate(invalid="ignore"):
            largest = float(np.max(np.abs(left - right), initial=0.0))
            yield Difference(case, tensor.name, largest, _least_cosine(left, right))


def _least_cosine(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    left, right = left.reshape(len(left), -1), right.reshape(len(right), -1)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    told = norms > SHORTEST_VECTOR**2
    cosines = np.einsum("nd,nd->n", left, right)[told] / norms[told]
    return float(np.min(cosines, initial=1.0))
