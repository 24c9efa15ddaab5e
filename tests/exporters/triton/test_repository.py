"""Names and versions of models mean one thing for ever: the same bytes keep theirs, another config gets a new name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shopfuse.ranking import tensors
from shopfuse.ranking.tensors import Submodel, submodels
from shopfuse.release.manifest import ModelVersion
from shopfuse.release.verify import sha256_file
from shopfuse_exporters.triton.ensembles import ensemble_config
from shopfuse_exporters.triton.repository import KnownModel, known_models, put_ensemble, put_models, versions
from shopfuse_exporters.verify.parity import ParityReport
from shopfuse_exporters.verify.verified_model import VerifiedModel
from tests.exporters.tiny_models import ENCODER, TOWER
from tests.exporters.triton.parsed_config import parse_config

REPORT = ParityReport("none", "fp32", 1, 0.0, 1.0, 1.0, 0.0, 0.0, "", True)


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"first")
    return path


def put(
    folder: Path,
    declaration: Submodel,
    onnx: Path,
    known: dict[str, KnownModel],
    beside: dict[str, Path] | None = None,
) -> ModelVersion:
    model = VerifiedModel(declaration, onnx, REPORT)
    return put_models(folder, {declaration.name: model}, known, "cpu", lambda _: beside or {})[declaration.name]


def test_known_bytes_keep_their_version_and_others_get_the_next(onnx: Path, tmp_path: Path) -> None:
    known = {"query_tower": KnownModel(first_config(tmp_path, onnx))}
    numbers = []
    for at, contents in enumerate((b"first", b"second", b"first")):
        onnx.write_bytes(contents)
        version = put(tmp_path / f"r{at + 1}", TOWER, onnx, known)
        known["query_tower"].versions[version.version] = (version.sha256, None)
        numbers.append(version.version)

    assert numbers == [1, 2, 1]


def test_the_same_bytes_with_another_engine_are_another_version(onnx: Path, tmp_path: Path) -> None:
    engine = tmp_path / "some.engine"
    known = {"query_tower": KnownModel(first_config(tmp_path, onnx))}
    numbers = []
    for at, contents in enumerate((b"first", b"second", b"first", None)):
        if contents is not None:
            engine.write_bytes(contents)
        beside = {} if contents is None else {"model.engine": engine}
        version = put(tmp_path / f"r{at}", TOWER, onnx, known, beside)
        file = tmp_path / f"r{at}/query_tower/{version.version}/model.onnx"
        assert [path.name for path in file.parent.iterdir() if path != file] == list(beside)
        known["query_tower"].versions[version.version] = (version.sha256, file)
        numbers.append(version.version)

    assert numbers == [1, 2, 1, 3]


def first_config(tmp_path: Path, onnx: Path) -> bytes:
    put(tmp_path / "first", TOWER, onnx, {})
    return (tmp_path / "first/query_tower/config.pbtxt").read_bytes()


def test_the_manifest_entry_names_the_version_and_its_hash(onnx: Path, tmp_path: Path) -> None:
    version = put(tmp_path / "models", TOWER, onnx, {})

    assert version == ModelVersion("query_tower", 1, "fp32", sha256_file(onnx))
    assert (tmp_path / "models/query_tower/1/model.onnx").read_bytes() == b"first"
    assert parse_config((tmp_path / "models/query_tower/config.pbtxt").read_text()).name == "query_tower"


def test_the_warm_up_files_of_the_config_are_there(onnx: Path, tmp_path: Path) -> None:
    put(tmp_path, ENCODER, onnx, {})

    config = parse_config((tmp_path / "text_encoder/config.pbtxt").read_text())
    named = {sample.input_data_file for warmup in config.model_warmup for sample in warmup.inputs.values()} - {""}
    assert named == {path.name for path in (tmp_path / "text_encoder/warmup").iterdir()}


def test_other_tensors_get_another_name(onnx: Path, tmp_path: Path) -> None:
    put(tmp_path / "repository", ENCODER, onnx, {})
    wider = replace(ENCODER, outputs=(tensors.Tensor("text_embedding", "FP32", (768,)),))
    known = known_models(tmp_path / "releases", tmp_path / "repository")

    version = put(tmp_path / "models", wider, onnx, known)
    assert (version.model, version.version) == ("text_encoder_2", 1)
    assert parse_config((tmp_path / "models/text_encoder_2/config.pbtxt").read_text()).name == "text_encoder_2"


def test_a_number_whose_release_is_gone_is_not_given_again(onnx: Path, tmp_path: Path) -> None:
    put(tmp_path / "repository", TOWER, onnx, {})
    known = known_models(tmp_path / "releases", tmp_path / "repository")
    onnx.write_bytes(b"second")

    assert put(tmp_path / "models", TOWER, onnx, known).version == 2


def test_an_ensemble_pins_names_and_versions(tmp_path: Path) -> None:
    steps = {name: ModelVersion(f"{name}_2", 7, "fp32", "") for name in submodels(384)}
    config = ensemble_config("rank", "r1", submodels(384), steps)

    assert put_ensemble(tmp_path, config) == "rank_r1"
    parsed = parse_config((tmp_path / "rank_r1/config.pbtxt").read_text())
    assert parsed == config
    assert {(step.model_name, step.model_version) for step in parsed.ensemble_scheduling.step} >= {("user_tower_2", 7)}
    assert versions(tmp_path / "rank_r1") == [1]
