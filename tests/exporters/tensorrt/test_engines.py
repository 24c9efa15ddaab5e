"""A release that brings its engines along: whole, signed, the same where nothing changed, and never for want of one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest

from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.tensors import Submodel
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest
from shopfuse.release.verify import file_problem, release_problems
from shopfuse_exporters import build
from shopfuse_exporters.build import BuildOptions, build_workspace
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.precision.precisions import Precisions
from shopfuse_exporters.tensorrt import engines
from shopfuse_exporters.tensorrt.engines import engine_of, engine_problems, read_engine_record
from shopfuse_exporters.tensorrt.network import serialized_engine
from shopfuse_exporters.tensorrt.rtx import open_rtx
from shopfuse_exporters.triton.targets import ENGINE_FILE, ENGINE_RECORD, ENGINE_WRAPPER
from shopfuse_exporters.verify import verified_model
from tests.exporters.conftest import Export
from tests.exporters.small_shop import fit, tiny_text_encoder
from tests.exporters.tiny_models import TOWER
from tests.exporters.triton.parsed_config import parse_config

WITH_ENGINES = BuildOptions(seed=3, target="tensorrt-rtx", architectures=("sm80", "sm89"))
RTX = open_rtx(WITH_ENGINES.architectures)


@pytest.fixture
def workspace(built: Path, tmp_path: Path, export_once: Export, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """With one release for CPUs, r1."""
    shutil.copytree(built, tmp_path / "shop")
    monkeypatch.setattr(verified_model, "export_submodel", export_once)
    monkeypatch.setattr(build, "build_models", fit)
    monkeypatch.setattr(build, "load_text_encoder", lambda _: tiny_text_encoder(tmp_path))
    return Workspace.open(tmp_path / "shop")


def model_folder(workspace: Workspace, manifest: Manifest, submodel: str) -> Path:
    model = manifest.models[submodel]
    return ReleaseLayout(workspace.paths.release(manifest.release_id)).models / model.model / str(model.version)


def refusing(names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As if TensorRT could not read these models; the others are built."""

    def built_or_not(trt: Any, onnx: Path, declaration: Submodel, **named: Any) -> bytes:
        if declaration.name in names:
            raise ExportError(f"{declaration.name}: TensorRT cannot read it: Mystery (node 'planted')")
        return serialized_engine(trt, onnx, declaration, **named)

    monkeypatch.setattr(engines, "serialized_engine", built_or_not)


def test_every_model_of_the_release_has_its_engine_beside_it(workspace: Workspace) -> None:
    manifest = build_workspace(workspace, WITH_ENGINES)

    assert manifest.target == "tensorrt-rtx"
    assert manifest.metrics["engines"].keys() == manifest.models.keys()
    assert release_problems(workspace.paths.release("r2"), workspace.paths.public_key) == []
    for name, model in manifest.models.items():
        folder = model_folder(workspace, manifest, name)
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            ("model.onnx", ENGINE_FILE, ENGINE_RECORD, ENGINE_WRAPPER)
        )
        assert f"models/{model.model}/{model.version}/{ENGINE_FILE}" in manifest.files
        record = read_engine_record(folder / ENGINE_RECORD)
        assert record is not None
        assert (record.submodel, record.onnx_sha256, record.architectures) == (name, model.sha256, ["sm80", "sm89"])
        assert file_problem(folder / ENGINE_FILE, record.engine_sha256) is None
        assert manifest.metrics["engines"][name]["bytes"] == (folder / ENGINE_FILE).stat().st_size
        config = parse_config((folder.parent / "config.pbtxt").read_text())
        assert config.parameters["engine"].string_value == ENGINE_RECORD
        assert [group.kind for group in config.instance_group] == [config.instance_group[0].KIND_MODEL]


def test_what_is_the_same_keeps_its_version_and_is_not_built_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_workspace(workspace, WITH_ENGINES)
    with monkeypatch.context() as patch:
        refusing(list(first.models), patch)
        again = build_workspace(workspace, WITH_ENGINES)
    other = build_workspace(workspace, replace(WITH_ENGINES, architectures=("sm89",)))

    assert again.models == first.models
    for name in first.models:
        assert (
            model_folder(workspace, again, name)
            .joinpath(ENGINE_FILE)
            .samefile(model_folder(workspace, first, name) / ENGINE_FILE)
        )
        assert other.models[name] == replace(first.models[name], version=2)


def test_a_model_that_tensorrt_refuses_goes_without_and_the_release_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(["user_tower"], monkeypatch)

    manifest = build_workspace(workspace, WITH_ENGINES)

    assert "Mystery (node 'planted')" in manifest.metrics["engines"]["user_tower"]["refused"]
    assert [path.name for path in model_folder(workspace, manifest, "user_tower").iterdir()] == ["model.onnx"]
    assert model_folder(workspace, manifest, "query_tower").joinpath(ENGINE_FILE).is_file()
    assert release_problems(workspace.paths.release("r2"), workspace.paths.public_key) == []


def test_without_a_single_engine_there_is_no_release(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(list(build_workspace(workspace).models), monkeypatch)

    with pytest.raises(ExportError, match=r"TensorRT refuses every model: .*Mystery"):
        build_workspace(workspace, WITH_ENGINES)
    assert not workspace.paths.release("r3").exists()
    assert not workspace.paths.build_scratch.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (BuildOptions(target="tensorrt"), "plans are built on the GPU that serves"),
        (BuildOptions(target="tpu"), "target 'tpu': expected one of cpu, gpu-ort, tensorrt, tensorrt-rtx"),
        (replace(WITH_ENGINES, precisions=Precisions("int8")), "precision int8 is for CPUs"),
        (BuildOptions(target="gpu-ort", precisions=Precisions(named={"text_encoder": "int8"})), "int8 is for CPUs"),
        (replace(WITH_ENGINES, architectures=("sm90",)), "GPU architecture sm90"),
        (BuildOptions(architectures=("sm89",)), "named for target tensorrt-rtx only"),
    ],
)
def test_what_cannot_be_built_is_said_before_anything_is_read(
    options: BuildOptions, message: str, workspace: Workspace
) -> None:
    workspace.paths.items.write_bytes(b"not read")

    with pytest.raises(ExportError, match=message):
        build_workspace(workspace, options)


def test_an_engine_that_was_cut_or_has_other_profiles_is_built_again(tower_file: Path, tmp_path: Path) -> None:
    folder = engine_of(tmp_path, TOWER, tower_file, "fp32", RTX)
    whole = (folder / ENGINE_FILE).read_bytes()
    record = read_engine_record(folder / ENGINE_RECORD)
    assert record is not None

    (folder / ENGINE_FILE).write_bytes(whole[:-7])
    [problem] = engine_problems(folder, record, TOWER, record.onnx_sha256, RTX)
    assert "sha256" in problem
    assert engine_of(tmp_path, TOWER, tower_file, "fp32", RTX) == folder
    assert (folder / ENGINE_FILE).read_bytes() == whole

    without_bucket = json.loads((folder / ENGINE_RECORD).read_text()) | {"profiles": []}
    (folder / ENGINE_RECORD).write_text(json.dumps(without_bucket))
    found = read_engine_record(folder / ENGINE_RECORD)
    assert found is not None
    assert "of profiles []" in engine_problems(folder, found, TOWER, record.onnx_sha256, RTX)[0]
    engine_of(tmp_path, TOWER, tower_file, "fp32", RTX)
    again = read_engine_record(folder / ENGINE_RECORD)
    assert again is not None
    assert again.profiles == record.profiles


def test_onnxruntime_reads_the_wrapper_and_leaves_its_node_to_the_provider(tower_file: Path, tmp_path: Path) -> None:
    folder = engine_of(tmp_path, TOWER, tower_file, "fp32", RTX)

    [node] = onnx.load(folder / ENGINE_WRAPPER).graph.node
    assert (node.op_type, node.domain) == ("EPContext", "com.microsoft")
    with pytest.raises(Exception, match="EPContext"):
        onnxruntime.InferenceSession(folder / ENGINE_WRAPPER, providers=["CPUExecutionProvider"])
