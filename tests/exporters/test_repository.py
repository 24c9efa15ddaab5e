"""Versions are immutable, appear whole, and do not multiply when nothing changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from shopfuse.exporters.ensemble_config import ensemble_config
from shopfuse.exporters.errors import RepositoryError
from shopfuse.exporters.model_config import parse_config
from shopfuse.exporters.repository import put_ensemble, put_model, versions
from shopfuse.ranking import tensors
from shopfuse.ranking.tensors import submodels
from shopfuse.release.verify import sha256_file

from .tiny_models import ENCODER, TOWER


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"first")
    return path


def test_the_same_bytes_keep_their_version_and_others_get_the_next(onnx: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    numbers = []
    for contents in (b"first", b"first", b"second", b"first"):
        onnx.write_bytes(contents)
        numbers.append(put_model(repository, TOWER, onnx).version)

    # An older version's bytes come back as a new version: ensembles of later releases pin what they were built with.
    assert numbers == [1, 1, 2, 3]
    assert (repository / "query_tower/1/model.onnx").read_bytes() == b"first"


def test_the_manifest_entry_names_the_file_and_its_hash(onnx: Path, tmp_path: Path) -> None:
    version = put_model(tmp_path / "repository", TOWER, onnx)

    assert version.files == {"1/model.onnx": sha256_file(onnx)}
    assert parse_config((tmp_path / "repository/query_tower/config.pbtxt").read_text()).name == "query_tower"


def test_the_warm_up_files_of_the_config_are_there(onnx: Path, tmp_path: Path) -> None:
    put_model(tmp_path, ENCODER, onnx)

    config = parse_config((tmp_path / "text_encoder/config.pbtxt").read_text())
    named = {sample.input_data_file for warmup in config.model_warmup for sample in warmup.inputs.values()} - {""}
    assert named == {path.name for path in (tmp_path / "text_encoder/warmup").iterdir()}


def test_other_tensors_under_the_same_name_are_refused(onnx: Path, tmp_path: Path) -> None:
    put_model(tmp_path, ENCODER, onnx)
    wider = replace(ENCODER, outputs=(tensors.Tensor("text_embedding", "FP32", (768,)),))

    with pytest.raises(RepositoryError, match=r"outputs are text_embedding \[8\], the new version has .*\[768\]"):
        put_model(tmp_path, wider, onnx)
    assert versions(tmp_path / "text_encoder") == [1]


def test_a_copy_that_fails_leaves_no_version(onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"fi")
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        put_model(tmp_path / "repository", TOWER, onnx)

    assert versions(tmp_path / "repository/query_tower") == []
    assert not list((tmp_path / "repository/query_tower").iterdir())


def test_a_version_that_lost_its_file_is_not_taken_for_the_latest(onnx: Path, tmp_path: Path) -> None:
    put_model(tmp_path / "repository", TOWER, onnx)
    (tmp_path / "repository/query_tower/1/model.onnx").unlink()

    assert put_model(tmp_path / "repository", TOWER, onnx).version == 2


def test_an_ensemble_is_a_config_and_a_version_folder(tmp_path: Path) -> None:
    config = ensemble_config("rank", "r1", submodels(384), dict.fromkeys(submodels(384), 1))
    (tmp_path / "rank_r1").mkdir()  # what an interrupted build left behind

    assert put_ensemble(tmp_path, config) == "rank_r1"
    assert parse_config((tmp_path / "rank_r1/config.pbtxt").read_text()) == config
    assert versions(tmp_path / "rank_r1") == [1]
