"""Exported models in other precisions: tensors as declared, answers near to fp32, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import Arrays, Submodel, submodels
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.models.fitted_towers import FittedUserTower
from shopfuse.training.models.towers import QueryTower
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.onnx.export import export_submodel, tensor_problems
from shopfuse_exporters.onnx.sample_inputs import random_inputs
from shopfuse_exporters.precision.convert import convert

DECLARED = submodels(32)
LEAST_COSINE = {"fp16": 0.9999, "int8": 0.97, "int8_static": 0.97}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("fp32")
    modules = {"query_tower": QueryTower(32), "fusion_ranker": FusionRanker(), "user_tower": FittedUserTower()}
    return {name: export_submodel(DECLARED[name], module, folder / name) for name, module in modules.items()}


def rows(declaration: Submodel, count: int, seed: int = 1) -> Arrays:
    axes = {axis: sizes[0] for axis, sizes in declaration.buckets.items()}
    return random_inputs(declaration, count, axes, np.random.default_rng(seed))


@pytest.mark.parametrize("precision", ["fp16", "int8", "int8_static"])
@pytest.mark.parametrize("name", ["query_tower", "fusion_ranker"])
def test_a_converted_model_keeps_its_tensors_and_its_answers(
    name: str, precision: str, exported: dict[str, Path], tmp_path: Path
) -> None:
    declaration, calibration = DECLARED[name], rows(DECLARED[name], 16)
    path = convert(declaration, exported[name], precision, calibration, tmp_path / "model.onnx")

    assert tensor_problems(declaration, onnx.load(path)) == []
    full, less = OnnxModel(declaration, exported[name]), OnnxModel(declaration, path)
    for batch in (1, 3):
        expected, actual = (model.run(rows(declaration, batch)) for model in (full, less))
        for output in expected:
            left, right = (answers[output].reshape(batch, -1).astype(np.float64) for answers in (expected, actual))
            cosine = (left * right).sum(1) / (np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1))
            assert cosine.min() >= LEAST_COSINE[precision]


@pytest.mark.parametrize("precision", ["fp16", "int8", "int8_static"])
def test_the_same_model_gives_the_same_bytes(precision: str, exported: dict[str, Path], tmp_path: Path) -> None:
    calibration = rows(DECLARED["query_tower"], 16)
    files = [
        convert(DECLARED["query_tower"], exported["query_tower"], precision, calibration, tmp_path / str(turn))
        for turn in range(2)
    ]

    assert files[0].read_bytes() == files[1].read_bytes() != exported["query_tower"].read_bytes()


def test_a_quantised_model_is_smaller(exported: dict[str, Path], tmp_path: Path) -> None:
    path = convert(DECLARED["query_tower"], exported["query_tower"], "int8", {}, tmp_path / "int8.onnx")

    assert path.stat().st_size < 0.5 * exported["query_tower"].stat().st_size


@pytest.mark.parametrize(
    ("name", "precision", "text"),
    [
        ("query_tower", "int4", r"query_tower: unknown precision 'int4', expected one of fp32"),
        ("query_tower", "int8_static", r"query_tower: int8_static needs real rows to calibrate on"),
        ("user_tower", "int8", r"user_tower: no matrix product with constant weights"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    name: str, precision: str, text: str, exported: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=text):
        convert(DECLARED[name], exported[name], precision, {}, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a model")

    with pytest.raises(ExportError, match=r"query_tower: .*broken\.onnx"):
        convert(DECLARED["query_tower"], tmp_path / "broken.onnx", "fp16", {}, tmp_path / "model.onnx")
