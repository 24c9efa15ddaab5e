"""The text encoder is exported once for its weights, and again when anything that makes the file differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shopfuse.release.verify import sha256_file
from shopfuse_exporters.encoding import export_cache as encoding_model
from shopfuse_exporters.encoding.export_cache import export_once
from shopfuse_exporters.verify.verified_model import VerifiedModel, export_verified
from tests.exporters.tiny_models import TOWER, TinyTower


class _Exporter:
    """Exports the tower, and counts."""

    def __init__(self, tower: TinyTower) -> None:
        self.tower = tower
        self.folders: list[Path] = []

    def __call__(self, folder: Path) -> VerifiedModel:
        self.folders.append(folder)
        rows = {"text_embedding": np.ones((4, 8), np.float32)}
        return export_verified(TOWER, self.tower, folder, rows)


@pytest.fixture
def exporter() -> _Exporter:
    return _Exporter(TinyTower())


def _export(cache: Path, exporter: _Exporter, precision: str = "fp32") -> VerifiedModel:
    return export_once(cache, TOWER, exporter.tower, precision, exporter)


def test_the_second_export_is_found(exporter: _Exporter, tmp_path: Path) -> None:
    first, second = _export(tmp_path, exporter), _export(tmp_path, exporter)

    assert len(exporter.folders) == 1
    assert second == first
    assert second.report.passed
    assert second.open().run({"text_embedding": np.ones((1, 8), np.float32)})["query_vector"].shape == (1, 4)
    assert len(list(tmp_path.iterdir())) == 1


def test_other_weights_are_another_export(exporter: _Exporter, tmp_path: Path) -> None:
    first = _export(tmp_path, exporter)
    with torch.no_grad():
        exporter.tower.query.weight[0, 0] += 1.0

    assert sha256_file(_export(tmp_path, exporter).path) != sha256_file(first.path)


@pytest.mark.parametrize(("precision", "exports"), [("fp32", 1), ("int8_static", 2)])
def test_int8_of_another_kind_of_processor_is_another_export(
    exporter: _Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, exports: int
) -> None:
    for bits in (8, 7):
        monkeypatch.setattr(encoding_model, "weight_bits", lambda bits=bits: bits)
        _export(tmp_path, exporter, precision)

    assert len(exporter.folders) == exports


def test_another_precision_is_another_export(exporter: _Exporter, tmp_path: Path) -> None:
    _export(tmp_path, exporter)
    _export(tmp_path, exporter, "fp32 accepted")

    assert len(exporter.folders) == 2


def test_weights_of_any_shape_and_type_are_told_apart(exporter: _Exporter, tmp_path: Path) -> None:
    exporter.tower.register_buffer("steps", torch.tensor(3))
    _export(tmp_path, exporter)
    exporter.tower.register_buffer("steps", torch.tensor(4))

    _export(tmp_path, exporter)
    assert len(exporter.folders) == 2


def test_a_damaged_file_is_exported_again(exporter: _Exporter, tmp_path: Path) -> None:
    first = _export(tmp_path, exporter)
    expected = sha256_file(first.path)
    first.path.write_bytes(first.path.read_bytes()[:-1])

    assert sha256_file(_export(tmp_path, exporter).path) == expected
    assert len(exporter.folders) == 2


def test_an_export_that_fails_leaves_nothing(exporter: _Exporter, tmp_path: Path) -> None:
    def fails(folder: Path) -> VerifiedModel:
        (folder / "half.onnx").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_once(tmp_path, TOWER, exporter.tower, "fp32", fails)
    assert not list(tmp_path.iterdir())


def test_of_two_processes_that_export_at_once_one_file_stays(exporter: _Exporter, tmp_path: Path) -> None:
    def overtaken(folder: Path) -> VerifiedModel:
        exported = exporter(folder)
        (other := folder.with_name("elsewhere")).mkdir()
        folder.rename(other / "mine")
        _export(tmp_path, _Exporter(exporter.tower))
        (other / "mine").rename(folder)
        other.rmdir()
        return exported

    assert export_once(tmp_path, TOWER, exporter.tower, "fp32", overtaken).report.passed
    assert len(list(tmp_path.iterdir())) == 1
