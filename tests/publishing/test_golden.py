"""Golden queries in a real Triton: models of a few bytes, right, and wrong in every way that publishing stops."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from numpy.typing import NDArray
from onnx import helper
from safetensors.numpy import save_file
from tritonclient.grpc import model_config_pb2 as pb

from shopfuse.publishing.golden import GoldenReport, check_golden
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ModelVersion, ReleaseError
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl
from tests.manifests import tiny_manifest

BUCKET = 4
LENGTHS = (1, 2, 3, 4, 4, 6)  # the last one in a bucket of its own
numbers = itertools.count(1)
TWICE = [helper.make_node("Add", ["x", "x"], ["y"])]
TWICE_ALONE = [  # x + x for one row; batch rows make it x * (batch + 1)
    helper.make_node("Shape", ["x"], ["shape"], start=0, end=1),
    helper.make_node("Cast", ["shape"], ["batch"], to=onnx.TensorProto.FLOAT),
    helper.make_node("Mul", ["x", "batch"], ["more"]),
    helper.make_node("Add", ["x", "more"], ["y"]),
]
ONE_SHORT = [helper.make_node("Add", ["x", "x"], ["both"]), helper.make_node("Slice", ["both", "0", "-1", "1"], ["y"])]
CONSTANTS = [
    helper.make_tensor("0", onnx.TensorProto.INT64, [1], [0]),
    helper.make_tensor("-1", onnx.TensorProto.INT64, [1], [-1]),
    helper.make_tensor("1", onnx.TensorProto.INT64, [1], [1]),
]


def scaled(factor: float) -> list[onnx.NodeProto]:
    constant = helper.make_node("Constant", [], ["factor"], value_float=factor)
    return [constant, helper.make_node("Mul", ["x", "factor"], ["y"])]


@dataclass
class Release:
    """A folder with a golden file for one loaded model "double" (y = 2 x), which the tests then spoil."""

    root: Path
    manifest: Manifest
    control: ModelControl
    tensors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        rng = np.random.default_rng(0)
        for place, length in enumerate(LENGTHS):
            self.tensors[f"{place}/x"] = rng.standard_normal(length).astype(np.float32)
            self.tensors[f"{place}/y"] = self.tensors[f"{place}/x"] * 2
        bound = {"max_abs": 1e-5, "cosine_min": 0.9999}
        self.metadata = {
            "format": 1,
            "cases": [
                {"name": f"{length} wide", "sizes": {"width": -(-length // BUCKET) * BUCKET}} for length in LENGTHS
            ],
            "axes": {"x": "width", "y": "width"},
            "models": {"double": {"inputs": ["x"], "outputs": {"y": bound}}},
        }
        self.save()

    def save(self) -> None:
        save_file(self.tensors, ReleaseLayout(self.root).golden, {"golden": json.dumps(self.metadata)})

    def check(self) -> GoldenReport:
        return check_golden(self.root, self.manifest, self.control)


def served(
    folder: Path,
    triton: LocalTriton,
    control: ModelControl,
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto] = (),
) -> Release:
    name = f"golden_{next(numbers)}"
    version = triton.model_repository / name / "1"
    version.mkdir(parents=True)
    config = pb.ModelConfig(name=name, backend="onnxruntime", max_batch_size=8)
    config.input.add(name="x", data_type=pb.TYPE_FP32, dims=[-1])
    config.output.add(name="y", data_type=pb.TYPE_FP32, dims=[-1])
    config.instance_group.add(count=1, kind=pb.ModelInstanceGroup.KIND_CPU)
    config.dynamic_batching.max_queue_delay_microseconds = 20_000
    (version.parent / "config.pbtxt").write_text(text_format.MessageToString(config))
    ends = [helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, ["batch", f"{end}_width"]) for end in ("x", "y")]
    graph = helper.make_graph(list(nodes), name, ends[:1], ends[1:], list(constants))
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), version / "model.onnx"
    )
    control.load(name)
    release = Release(folder, tiny_manifest("r1", {"double": ModelVersion(name, 1, "fp32", "")}), control)
    release.write()
    return release


@pytest.fixture
def release(tmp_path: Path, triton: LocalTriton, control: ModelControl) -> Release:
    return served(tmp_path, triton, control, TWICE)


def test_right_answers_pass_with_times_and_neighbours(release: Release) -> None:
    report = release.check()

    (row,) = report.rows
    assert report.cases == len(LENGTHS)
    assert row.requests == 6 + 1 + 12  # alone, four of them in one batch, twice at once
    assert row.max_abs_diff == 0.0
    assert row.cosine_min == pytest.approx(1.0)
    assert row.p50_ms > 0
    assert row.largest_batch >= 4
    assert json.loads(json.dumps(report.summary()))["rows"][0]["name"] == "double"


def test_the_dynamic_batcher_puts_neighbours_together(release: Release) -> None:
    """A single case has no company in a batch of its own, but the same case twice at once."""
    del release.metadata["cases"][1:]
    release.save()

    assert release.check().rows[0].largest_batch == 2


@pytest.mark.parametrize("factor", [2.01, -2.0, float("nan"), float("inf")])
def test_wrong_numbers_are_stopped(factor: float, tmp_path: Path, triton: LocalTriton, control: ModelControl) -> None:
    poisoned = served(tmp_path, triton, control, scaled(factor))

    with pytest.raises(ReleaseError, match=r"golden_\d+ version 1: output 'y' differs in case '1 wide': largest diff"):
        poisoned.check()


def test_garbage_in_company_alone_is_stopped(tmp_path: Path, triton: LocalTriton, control: ModelControl) -> None:
    poisoned = served(tmp_path, triton, control, TWICE_ALONE)

    with pytest.raises(ReleaseError, match="output 'y' differs in case '1 wide' in a batch of 4: largest difference"):
        poisoned.check()


def test_a_wrong_shape_is_stopped(tmp_path: Path, triton: LocalTriton, control: ModelControl) -> None:
    short = served(tmp_path, triton, control, ONE_SHORT, CONSTANTS)

    with pytest.raises(ReleaseError, match=r"output 'y' has shape \(3,\) in case '4 wide', expected \(4,\)"):
        short.check()


def test_a_tampered_expectation_is_stopped(release: Release) -> None:
    release.tensors["5/y"][2] += 0.01
    release.save()

    with pytest.raises(ReleaseError, match=r"in case '6 wide': largest difference 0\.01 \(allowed 1e-05\)"):
        release.check()


def test_a_missing_tensor_is_named(release: Release) -> None:
    del release.tensors["3/y"]
    release.save()

    with pytest.raises(ReleaseError, match=r"golden\.safetensors: no tensor '3/y'"):
        release.check()


def test_a_model_without_golden_queries_is_not_published(release: Release) -> None:
    release.manifest.models["another"] = release.manifest.models["double"]

    with pytest.raises(ReleaseError, match="no golden query for 'another', which release r1 has"):
        release.check()


def test_a_model_that_triton_does_not_have_is_named(release: Release) -> None:
    release.manifest.models["double"] = ModelVersion("golden_absent", 3, "fp32", "")

    with pytest.raises(
        ReleaseError, match=r"golden_absent version 3: Triton gives no answer to a golden query: .*unknown"
    ):
        release.check()


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        ("cases", [], "the golden set is empty: 0 cases, 1 models"),
        ("models", {}, "the golden set is empty: 6 cases, 0 models"),
        ("models", {"double": {"inputs": ["x"], "outputs": {}}}, "the golden set is empty"),
        ("models", {"double": 3}, "not a file of golden queries"),
        ("format", 9, "format 9 of golden queries, expected 1"),
    ],
)
def test_an_empty_or_strange_set_is_refused(part: str, value: object, reason: str, release: Release) -> None:
    release.metadata[part] = value
    release.save()

    with pytest.raises(ReleaseError, match=f"golden.safetensors: {reason}"):
        release.check()


def test_a_missing_or_damaged_file_is_refused(release: Release) -> None:
    path = ReleaseLayout(release.root).golden
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ReleaseError, match=r"golden\.safetensors: not a file of golden queries"):
        release.check()
    save_file({"x": np.zeros(1, np.float32)}, path)  # no metadata
    with pytest.raises(ReleaseError, match=r"golden\.safetensors: not a file of golden queries"):
        release.check()

    path.unlink()
    with pytest.raises(ReleaseError, match=r"golden\.safetensors: missing: a release without golden queries"):
        release.check()
