"""Asks the real Triton the golden queries of a release before it serves, and compares with what torch answered.

Every model and ensemble, in the version that the release pins: one request at a time; several as one batch; and many
at once, so that the dynamic batcher puts neighbours together. A model of the right shapes and the wrong numbers stops
here. The file is written by the exporters' release/golden_set.py, which says what is in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

from shopfuse.publishing.golden_file import Expected, GoldenFile, Tensors, read_golden
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ReleaseError
from shopfuse.triton.model_control import ModelControl, reason_of
from shopfuse.triton.model_infer import answer_of, request_of

IN_FLIGHT = 8  # a model's queue refuses what waits for a second
ROUNDS = 2  # of all cases at once
COMPANY = 4  # cases in one batch
TIMEOUT_S = 30.0
SHORTEST_VECTOR = 1e-3  # the direction of a shorter one is noise


@dataclass(frozen=True, slots=True)
class GoldenRow:
    """What Triton's answers of one model differed by, and how long one alone took."""

    name: str  # submodel or role
    model: str  # Triton's name of it
    version: str
    requests: int
    max_abs_diff: float
    cosine_min: float
    p50_ms: float
    largest_batch: int  # that Triton ran; 0 for ensembles, whose steps are batched each by itself


@dataclass(frozen=True, slots=True)
class GoldenReport:
    rows: tuple[GoldenRow, ...]
    cases: int
    seconds: float

    def summary(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Served:
    """One model or ensemble in Triton and what is expected of it."""

    name: str
    model: str
    version: str
    expected: Expected


def check_golden(root: Path, manifest: Manifest, control: ModelControl) -> GoldenReport:
    """The report of a release that answers as it must; its models are loaded.

    Raises ReleaseError naming model, output, case and difference, and where the release has no golden queries for one
    of its models.
    """
    started = time.perf_counter()
    golden = read_golden(ReleaseLayout(root).golden)
    rows = tuple(_check(served, golden, control) for served in _all_served(golden, manifest))
    return GoldenReport(rows, len(golden.cases), round(time.perf_counter() - started, 2))


def _all_served(golden: GoldenFile, manifest: Manifest) -> Iterator[_Served]:
    plain = {name: (version.model, str(version.version)) for name, version in manifest.models.items()}
    ensembles = {role: (model, "1") for role, model in manifest.ensembles.items()}
    for name, (model, version) in (plain | ensembles).items():
        if name not in golden.models:
            raise ReleaseError(f"{golden.path}: no golden query for '{name}', which release {manifest.release_id} has")
        yield _Served(name, model, version, golden.models[name])


def _check(served: _Served, golden: GoldenFile, control: ModelControl) -> GoldenRow:
    worst = _Worst()
    milliseconds = []
    for place in range(len(golden.cases)):
        begun = time.perf_counter()
        (answer,) = _answers(served, golden, [[place]], control)
        milliseconds.append(1000 * (time.perf_counter() - begun))
        worst.compare(served, golden, [place], answer, "")
    companies = list(_companies(served, golden))
    for places, answer in zip(companies, _answers(served, golden, companies, control), strict=True):
        worst.compare(served, golden, places, answer, f" in a batch of {len(places)}")
    together = [[place] for _ in range(ROUNDS) for place in _by_shape(served, golden)]
    for start in range(0, len(together), IN_FLIGHT):
        wave = together[start : start + IN_FLIGHT]
        for places, answer in zip(wave, _answers(served, golden, wave, control), strict=True):
            worst.compare(served, golden, places, answer, f" beside {len(wave) - 1} other requests")
    return GoldenRow(
        name=served.name,
        model=served.model,
        version=served.version,
        requests=len(golden.cases) + len(companies) + len(together),
        max_abs_diff=worst.max_abs,
        cosine_min=worst.cosine,
        p50_ms=round(float(np.median(milliseconds)), 2),
        largest_batch=_largest_batch(served, control),
    )


def _answers(
    served: _Served, golden: GoldenFile, batches: Sequence[Sequence[int]], control: ModelControl
) -> list[Tensors]:
    """The answers to requests of these cases, all sent before the first is awaited."""
    calls = []
    for places in batches:
        request = request_of(served.model, served.version, golden.inputs(served.expected, places))
        calls.append(control.stub.ModelInfer.future(request, timeout=TIMEOUT_S))
    try:
        return [answer_of(call.result()) for call in calls]
    except grpc.RpcError as error:
        raise ReleaseError(
            f"{served.model} version {served.version}: Triton gives no answer to a golden query: {reason_of(error)}"
        ) from error


def _by_shape(served: _Served, golden: GoldenFile) -> list[int]:
    """The cases, those of equal shapes side by side: Triton batches only them."""
    return sorted(range(len(golden.cases)), key=lambda place: golden.shape(served.expected, place))


def _companies(served: _Served, golden: GoldenFile) -> Iterator[list[int]]:
    """Cases of equal shapes in groups of COMPANY, but not those that have no neighbour."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place in range(len(golden.cases)):
        groups.setdefault(golden.shape(served.expected, place), []).append(place)
    for places in groups.values():
        for start in range(0, len(places), COMPANY):
            if len(part := places[start : start + COMPANY]) > 1:
                yield part


def _largest_batch(served: _Served, control: ModelControl) -> int:
    request = service_pb2.ModelStatisticsRequest(name=served.model, version=served.version)
    try:
        statistics = control.stub.ModelStatistics(request, timeout=TIMEOUT_S).model_stats
    except grpc.RpcError as error:
        raise ReleaseError(f"{served.model}: Triton gives no statistics: {reason_of(error)}") from error
    return max((batch.batch_size for model in statistics for batch in model.batch_stats), default=0)


@dataclass(slots=True)
class _Worst:
    """The largest difference so far."""

    max_abs: float = 0.0
    cosine: float = 1.0

    def compare(
        self, served: _Served, golden: GoldenFile, places: Sequence[int], answer: Tensors, company: str
    ) -> None:
        """Raises ReleaseError for the first output of the first case that is beyond its bound."""
        for output, bound in served.expected.outputs.items():
            where = f"{served.model} version {served.version}: output '{output}'"
            if output not in answer or len(answer[output]) != len(places):
                actual = answer[output].shape if output in answer else "none"
                raise ReleaseError(f"{where}: expected {len(places)} rows, found {actual}")
            for place, row in zip(places, answer[output], strict=True):
                expected = golden.tensor(place, output)
                case = f"in case '{golden.cases[place].name}'{company}"
                if row.ndim != expected.ndim or len(row) < len(expected) or row.shape[1:] != expected.shape[1:]:
                    raise ReleaseError(f"{where} has shape {row.shape} {case}, expected {expected.shape}")
                largest, cosine = _difference(expected, row[: len(expected)])
                if not (largest <= bound.max_abs and cosine >= bound.cosine_min):  # NaN is within no bound
                    raise ReleaseError(
                        f"{where} differs {case}: largest difference {largest:.3g} (allowed {bound.max_abs:.3g}), "
                        f"cosine {cosine:.6f} (at least {bound.cosine_min:.6g})"
                    )
                self.max_abs, self.cosine = max(self.max_abs, largest), min(self.cosine, cosine)


def _difference(expected: Any, actual: Any) -> tuple[float, float]:
    """(largest absolute difference, cosine) of two arrays of one shape; the cosine of a zero vector is 1."""
    left, right = (values.astype(np.float64).ravel() for values in (expected, actual))
    with np.errstate(invalid="ignore"):
        largest = float(np.max(np.abs(left - right), initial=0.0))
        norms = float(np.linalg.norm(left) * np.linalg.norm(right))
        return largest, float(left @ right) / norms if norms > SHORTEST_VECTOR**2 else 1.0
