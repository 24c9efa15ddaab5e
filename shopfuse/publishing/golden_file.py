"""Reads golden.safetensors: the cases of a release, and what is expected of each model.

The exporters' release/golden_set.py writes it. Asking Triton and comparing are golden.py's task.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from shopfuse.release.manifest import ReleaseError

FORMAT = 1
Tensors = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Bound:
    max_abs: float
    cosine_min: float


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one model: the tensors it takes, and the bound of each that it gives."""

    inputs: tuple[str, ...]
    outputs: dict[str, Bound]


@dataclass(frozen=True, slots=True)
class GoldenCase:
    name: str
    sizes: dict[str, int]  # what its dynamic axes are padded to


@dataclass(frozen=True, slots=True)
class GoldenFile:
    path: Path
    cases: tuple[GoldenCase, ...]
    models: dict[str, Expected]
    axes: dict[str, str]  # tensor -> its dynamic axis, the first of a case
    tensors: Tensors  # by case and name, without padding

    def tensor(self, place: int, name: str) -> NDArray[np.generic]:
        """Raises ReleaseError where the file does not have it."""
        if (key := f"{place}/{name}") not in self.tensors:
            raise ReleaseError(f"{self.path}: no tensor '{key}'")
        return self.tensors[key]

    def inputs(self, expected: Expected, places: Sequence[int]) -> Tensors:
        """One request with a row for each of these cases, padded with zeros; the cases must be of one shape."""
        return {name: np.stack([self._padded(place, name) for place in places]) for name in expected.inputs}

    def shape(self, expected: Expected, place: int) -> tuple[int, ...]:
        """What must be equal for cases to be asked of a model together."""
        axes = sorted({self.axes[name] for name in expected.inputs if name in self.axes})
        return tuple(self.cases[place].sizes[axis] for axis in axes)

    def _padded(self, place: int, name: str) -> NDArray[np.generic]:
        value = self.tensor(place, name)
        if name not in self.axes:
            return value
        missing = self.cases[place].sizes[self.axes[name]] - len(value)
        return np.pad(value, [(0, missing), *[(0, 0)] * (value.ndim - 1)])


def read_golden(path: Path) -> GoldenFile:
    """Raises ReleaseError where the file is missing, damaged, of another format, or empty."""
    try:
        with safe_open(path, "numpy") as file:
            metadata = json.loads((file.metadata() or {})["golden"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError as error:
        raise ReleaseError(f"{path}: missing: a release without golden queries is not published") from error
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise ReleaseError(f"{path}: not a file of golden queries ({error})") from error
    return _parsed(path, metadata, tensors)


def _parsed(path: Path, metadata: dict[str, object], tensors: Tensors) -> GoldenFile:
    try:
        if metadata["format"] != FORMAT:
            raise ReleaseError(f"{path}: format {metadata['format']} of golden queries, expected {FORMAT}")
        golden = GoldenFile(
            path=path,
            cases=tuple(GoldenCase(**case) for case in metadata["cases"]),  # type: ignore[attr-defined]
            models={name: _expected(model) for name, model in metadata["models"].items()},  # type: ignore[attr-defined]
            axes=dict(metadata["axes"]),  # type: ignore[call-overload]
            tensors=tensors,
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ReleaseError(f"{path}: not a file of golden queries ({error!r})") from error
    if not golden.cases or not golden.models or not all(model.outputs for model in golden.models.values()):
        raise ReleaseError(f"{path}: the golden set is empty: {len(golden.cases)} cases, {len(golden.models)} models")
    return golden


def _expected(model: dict[str, dict[str, dict[str, float]]]) -> Expected:
    return Expected(tuple(model["inputs"]), {name: Bound(**bound) for name, bound in model["outputs"].items()})
