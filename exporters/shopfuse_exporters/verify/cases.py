"""What a model is asked to prove its parity: random and real inputs, with the answers of its torch module.

Every bucket and every batch size is tried, not every pair: the largest ones would take minutes. The answers are
computed once and serve every precision of the model. Judging is parity's task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shopfuse.ranking.tensors import NUMPY_TYPE, Arrays, Submodel, Tensor, bucket
from shopfuse_exporters.onnx.sample_inputs import random_inputs

REAL_ROWS = 48  # of the shop's own, that are enough to verify a model with
COMPANY = 8  # rows in the batch that a row is compared in
SEED = 20

Answer = Callable[[Arrays], Arrays]
RealInputs = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class ParityCase:
    name: str
    real: bool  # inputs from the shop, but for those that it does not give
    inputs: Arrays
    expected: Arrays


def reference_cases(declaration: Submodel, module: nn.Module, real: RealInputs) -> list[ParityCase]:
    """The questions of a model with torch's answers.

    `real` are rows [n, ...] for some or all inputs, row-aligned, their dynamic axis of any one size; inputs that are
    not given are drawn at random.
    """
    reference = torch_answer(declaration, module)
    return [ParityCase(name, own, inputs, reference(inputs)) for name, own, inputs in _questions(declaration, real)]


def _questions(declaration: Submodel, real: RealInputs) -> Iterator[tuple[str, bool, Arrays]]:
    """(name, whether the inputs are real, inputs)."""
    rng = np.random.default_rng(SEED)
    for place, axes in enumerate(_sizes(declaration)):
        for batch in sorted({1, 3, 8, declaration.max_batch}) if place == 0 else (1, 3):
            yield f"random{_label(batch, axes)}", False, random_inputs(declaration, batch, axes, rng)
    for batch in (1, 8, declaration.max_batch) if real else ():
        inputs, axes = real_batch(declaration, real, batch, rng)
        yield f"real{_label(batch_of(inputs), axes)}", True, inputs


def companies(declaration: Submodel, real: RealInputs) -> Iterator[tuple[bool, Arrays]]:
    """Batches whose rows are then asked alone: (whether they are real, inputs)."""
    rng = np.random.default_rng(SEED + 1)
    rows = min(COMPANY, declaration.max_batch)
    yield False, random_inputs(declaration, rows, _sizes(declaration)[0], rng)
    if real:
        yield True, real_batch(declaration, real, rows, rng)[0]


def paddings(declaration: Submodel, real: RealInputs) -> Iterator[tuple[bool, str, int, Arrays]]:
    """(whether they are real, a dynamic axis, its size, inputs); shorter than a bucket too, as the catalogue is."""
    rng = np.random.default_rng(SEED + 2)
    rows = min(3, declaration.max_batch)
    for axis, sizes in declaration.buckets.items():
        small = sizes[0] - 3
        yield False, axis, small, random_inputs(declaration, rows, {axis: small}, rng)
    if real:
        inputs, axes = real_batch(declaration, real, rows, rng)
        for axis, size in axes.items():
            yield True, axis, size, inputs


def torch_answer(declaration: Submodel, module: nn.Module) -> Answer:
    """The module as a function of arrays by name: the reference of every comparison."""
    module = module.eval()

    def answer(inputs: Arrays) -> Arrays:
        with torch.no_grad(), _one_torch_thread():
            answered = module(*(torch.from_numpy(inputs[tensor.name]) for tensor in declaration.inputs))
        outputs = answered if isinstance(answered, tuple) else (answered,)
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


def _sizes(declaration: Submodel) -> list[dict[str, int]]:
    """The sizes of the dynamic axes to try; no submodel has more than one."""
    return [{axis: size} for axis, sizes in declaration.buckets.items() for size in sizes] or [{}]


def real_batch(
    declaration: Submodel, real: RealInputs, batch: int, rng: np.random.Generator
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
            drawn[tensor.name] = resized(values, tensor, next(iter(axes.values()), 0))
    return drawn, axes


def resized(values: NDArray[np.generic], tensor: Tensor, size: int) -> NDArray[np.generic]:
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
