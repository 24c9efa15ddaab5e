"""Plans: who may serve them, what is built again, how they become a release. TensorRT is faked in ten lines here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.workspace import Workspace
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import Arrays, Submodel, submodels
from shopfuse.release.manifest import Manifest
from shopfuse.release.signature import sign
from shopfuse.release.verify import file_problem, read_manifest, release_problems
from shopfuse_exporters.errors import ExportError, ParityError
from shopfuse_exporters.tensorrt import build_plan
from shopfuse_exporters.tensorrt.build_plan import Toolkit, build_plans, open_toolkit, plans_of
from shopfuse_exporters.tensorrt.gpu import Gpu
from shopfuse_exporters.tensorrt.plan_record import PlanRecord, plan_folder, plan_problems, read_record, record_file
from shopfuse_exporters.tensorrt.plan_release import release_with_plans
from shopfuse_exporters.tensorrt.plan_verification import golden_inputs, verify_plan
from tests.exporters.triton.parsed_config import parse_config

H100 = Gpu("NVIDIA H100 80GB HBM3", "9.0", "13.4")
VERSION = "11.3.0.99"


class Bindings:
    __version__ = VERSION


class AnyPlan:
    """Stands for a plan that answers as the ONNX file whose path is its content, or is off by `flaw`."""

    flaw = 0.0

    def __init__(self, trt: object, cudart: object, declaration: Submodel, plan: bytes) -> None:
        self.model = OnnxModel(declaration, Path(plan.decode()))

    def tensors(self) -> dict[str, list[str | int]]:
        return {tensor.name: [tensor.dtype, -1] for tensor in self.model.declaration.inputs}

    def run(self, inputs: Arrays) -> Arrays:
        answers = self.model.run(inputs)
        return {name: np.add(value, self.flaw, dtype=value.dtype) for name, value in answers.items()}


@pytest.fixture
def workspace(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With one release of target gpu-ort, r1, and a builder whose plans hold the path of their ONNX file."""
    root = tmp_path / "shop"
    shutil.copytree(built, root)
    written(root, replace(read_manifest(root / "releases" / "r1"), target="gpu-ort"))
    monkeypatch.setattr(build_plan, "PlanModel", AnyPlan)
    monkeypatch.setattr(build_plan, "serialized_engine", lambda trt, onnx, *_, **named: str(onnx).encode())
    return root


def written(root: Path, manifest: Manifest) -> None:
    folder = root / "releases" / manifest.release_id
    (folder / "manifest.json").write_text(manifest.to_json())
    (folder / "manifest.sig").write_bytes(sign(manifest.to_json().encode(), WorkspacePaths(root).private_key))


def build(root: Path, gpu: Gpu = H100) -> dict[str, PlanRecord]:
    return build_plans(root, "r1", WorkspacePaths(root).public_key, Toolkit(Bindings(), None, gpu))


def test_every_model_gets_a_plan_with_a_record_that_says_how_it_was_made(workspace: Path) -> None:
    records = build(workspace)

    manifest = read_manifest(workspace / "releases" / "r1")
    assert records.keys() == manifest.models.keys()
    for name, record in records.items():
        folder = plan_folder(workspace, manifest.models[name].sha256)
        assert sorted(path.name for path in folder.iterdir()) == ["model.sm90.trt11.3.json", "model.sm90.trt11.3.plan"]
        assert read_record(folder / record_file(record.file)) == record
        assert file_problem(folder / record.file, record.plan_sha256) is None
        assert (record.gpu, record.tensorrt, record.cuda) == (H100.name, VERSION, "13.4")
        assert record.verified["cases"] > 0
    assert len(records["fusion_ranker"].profiles) == 5


def test_what_fits_is_not_built_again_and_what_is_damaged_or_of_another_gpu_is(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = build(workspace)
    built: list[str] = []

    def counted(trt: object, onnx: Path, declaration: Submodel, *, timing_cache: Path) -> bytes:
        built.append(declaration.name)
        return str(onnx).encode()

    monkeypatch.setattr(build_plan, "serialized_engine", counted)
    assert build(workspace) == records
    assert built == []

    (plan_folder(workspace, records["query_tower"].onnx_sha256) / records["query_tower"].file).write_bytes(b"damaged")
    build(workspace)
    assert built == ["query_tower"]

    build(workspace, replace(H100, name="NVIDIA H200"))
    assert len(built) == 1 + len(records)


def test_a_plan_that_answers_otherwise_is_not_kept(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AnyPlan, "flaw", 0.05)

    with pytest.raises(ParityError, match=r"output '\w+' of the plan differs .*largest difference 0\.05"):
        build(workspace)
    assert not list((workspace / "plans").rglob("*.plan"))


def test_a_release_that_was_changed_is_not_built(workspace: Path) -> None:
    model = read_manifest(workspace / "releases" / "r1").models["query_tower"]
    path = workspace / "releases" / "r1" / "models" / model.model / str(model.version) / "model.onnx"
    path.unlink()  # it may be shared with other releases
    path.write_bytes(b"another model")

    with pytest.raises(Exception, match="sha256"):
        build(workspace)


@pytest.mark.parametrize(
    ("gpu", "tensorrt", "reason"),
    [
        (H100, VERSION, ""),
        (replace(H100, name="NVIDIA H200"), VERSION, "for GPU NVIDIA H100 80GB HBM3, this is NVIDIA H200"),
        (replace(H100, capability="8.0"), VERSION, "for compute capability 9.0, this is 8.0"),
        (H100, "11.3.1.2", "for TensorRT 11.3.0.99, this is 11.3.1.2"),
    ],
)
def test_a_plan_serves_on_its_gpu_and_its_tensorrt_only(gpu: Gpu, tensorrt: str, reason: str) -> None:
    record = PlanRecord("query_tower", "fp32", "0", "1", VERSION, "13.4", H100.name, "9.0", [], {}, 1.0, {"cases": 1})

    problems = plan_problems(record, gpu, tensorrt)

    assert len(problems) == bool(reason)
    assert all(reason in problem and "query_tower" in problem for problem in problems)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "gpu": "H100"}'])
def test_a_record_that_is_none_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)

    with pytest.raises(ExportError, match=r"model\.json"):
        read_record(tmp_path / "model.json")


def test_sealed_plans_make_a_signed_release_that_is_served_by_tensorrt(workspace: Path) -> None:
    records = build(workspace)

    manifest = release_with_plans(Workspace.open(workspace), "r1")

    root, source = workspace / "releases" / manifest.release_id, read_manifest(workspace / "releases" / "r1")
    assert release_problems(root, WorkspacePaths(workspace).public_key) == []
    assert (manifest.release_id, manifest.target, manifest.made_by["plans_for"]) == ("r2", "tensorrt", "r1")
    for name, model in manifest.models.items():
        assert model.model != source.models[name].model  # one name, one config
        assert model.sha256 == source.models[name].sha256
        folder = root / "models" / model.model
        config = parse_config((folder / "config.pbtxt").read_text())
        assert (config.name, config.backend) == (model.model, "tensorrt")
        files = sorted(path.name for path in (folder / str(model.version)).iterdir())
        assert files == ["model.onnx", "model.sm90.trt11.3.json", "model.sm90.trt11.3.plan"]
        assert config.cc_model_filenames["9.0"] == records[name].file
    steps = parse_config((root / "models" / manifest.ensembles["rank"] / "config.pbtxt").read_text())
    assert {step.model_name for step in steps.ensemble_scheduling.step} <= {
        one.model for one in manifest.models.values()
    }
    assert all((root / path).is_file() for path in manifest.built_with)


def test_a_model_without_a_plan_keeps_its_gpu_ort_version(workspace: Path) -> None:
    records = build(workspace)
    shutil.rmtree(plan_folder(workspace, records["user_tower"].onnx_sha256))

    manifest = release_with_plans(Workspace.open(workspace), "r1")

    source = read_manifest(workspace / "releases" / "r1")
    assert manifest.models["user_tower"] == source.models["user_tower"]
    assert manifest.models["query_tower"].model == "query_tower_2"


def test_same_plans_keep_their_version_and_new_ones_get_the_next(workspace: Path) -> None:
    build(workspace)
    first = release_with_plans(Workspace.open(workspace), "r1")
    again = release_with_plans(Workspace.open(workspace), "r1")
    build(workspace, Gpu("NVIDIA L4", "8.9", "13.4"))
    more = release_with_plans(Workspace.open(workspace), "r1")

    assert again.models == first.models
    assert {model.version for model in first.models.values()} == {1}
    assert {model.version for model in more.models.values()} == {2}
    model = more.models["query_tower"]
    folder = workspace / "releases" / more.release_id / "models" / model.model / str(model.version)
    assert len(list(folder.glob("*.plan"))) == 2


def test_nothing_is_sealed_without_plans_or_for_another_target(workspace: Path) -> None:
    with pytest.raises(ExportError, match=r"r1: no plan of TensorRT 11\.3"):
        release_with_plans(Workspace.open(workspace), "r1")

    written(workspace, replace(read_manifest(workspace / "releases" / "r1"), target="cpu"))
    with pytest.raises(ExportError, match="for target cpu, expected gpu-ort"):
        release_with_plans(Workspace.open(workspace), "r1")
    assert not (workspace / "releases" / "r2").exists()


def test_the_reader_leaves_unverified_plans_out(workspace: Path) -> None:
    record = build(workspace)["query_tower"]
    declaration = submodels(read_manifest(workspace / "releases" / "r1").text_dim)["query_tower"]
    folder = plan_folder(workspace, record.onnx_sha256)
    assert len(plans_of(workspace, declaration, record.onnx_sha256)) == 1

    (folder / record_file(record.file)).write_text(replace(record, verified={}).to_json())

    assert not plans_of(workspace, declaration, record.onnx_sha256)


def test_golden_inputs_are_those_of_the_release_padded_to_buckets(workspace: Path) -> None:
    root = workspace / "releases" / "r1"
    declaration = submodels(read_manifest(root).text_dim)["fusion_ranker"]

    cases = golden_inputs(root / "golden.safetensors", declaration)

    sizes = {inputs["features"].shape[1] for inputs in cases.values()}
    assert sizes <= set(declaration.buckets["candidates"])
    assert all(inputs.keys() == {tensor.name for tensor in declaration.inputs} for inputs in cases.values())


def test_a_plan_that_gives_no_numbers_fails() -> None:
    declaration = submodels(8)["query_tower"]
    case: Arrays = {"text_embedding": np.ones((1, 8), np.float32)}

    def answer(value: float) -> Callable[[Arrays], Arrays]:
        return lambda inputs: {"query_vector": np.full((len(inputs["text_embedding"]), 128), value, np.float32)}

    assert verify_plan(declaration, "fp32", answer(0.1), answer(0.1), {"c": case})["max_abs"] == 0.0
    with pytest.raises(ParityError, match="NaN"):
        verify_plan(declaration, "fp32", answer(float("nan")), answer(0.1), {"c": case})


def test_outside_nvidias_container_the_builder_says_where_it_belongs() -> None:
    with pytest.raises(ExportError, match="built in NVIDIA's TensorRT container"):
        open_toolkit()


def test_the_builder_needs_nothing_that_its_image_lacks() -> None:
    look = f"import sys, json, {build_plan.__name__}; print(json.dumps(sorted(sys.modules)))"

    run = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert not {"torch", "polars", "transformers", "tokenizers", "onnx_ir", "onnxscript"} & set(json.loads(run.stdout))
