"""The verifier passes faithful models and fails every kind of unfaithful one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from shopfuse.exporters.errors import ExportError, ParityError
from shopfuse.exporters.parity import verify_submodel

from .tiny_models import ENCODER, TOWER, TinyEncoder, TinyTower, exported, poisoned


def test_a_faithful_model_passes_with_a_report(tower_file: Path) -> None:
    report = verify_submodel(TOWER, TinyTower(), tower_file)

    assert report.passed
    assert report.max_abs_diff < 1e-6
    assert report.cosine_min > 0.999999
    assert json.loads(json.dumps(report.as_dict()))["model"] == "query_tower"


def test_batches_buckets_and_paddings_are_all_tried(encoder_file: Path) -> None:
    real = {"input_ids": np.ones((5, 20), np.int64), "attention_mask": np.ones((5, 20), np.int64)}

    report = verify_submodel(ENCODER, TinyEncoder(), encoder_file, real)

    # random: batches 1, 3 and 8 at the first bucket, 1 and 3 at the second; real: 1 and all 5; alone: 3; padded: 2
    assert report.cases == 3 + 2 + 2 + 3 + 2


@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf")])
def test_a_poisoned_weight_fails(value: float, tower_file: Path, tmp_path: Path) -> None:
    path = poisoned(tower_file, tmp_path, value)

    with pytest.raises(ParityError, match=r"query_tower: output '\w+' differs in case random batch 1: .*0.0001"):
        verify_submodel(TOWER, TinyTower(), path)


def test_nan_on_both_sides_fails(tmp_path: Path) -> None:
    module = TinyTower()
    module.other.bias.data[0] = float("nan")

    with pytest.raises(ParityError, match=r"output 'other_vector' differs .* largest difference nan"):
        verify_submodel(TOWER, module, exported(TOWER, module, tmp_path))


def test_swapped_outputs_fail(tower_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "swapped.onnx"
    model = onnx.load(tower_file)
    names = {"query_vector": "other_vector", "other_vector": "query_vector"}
    for node in model.graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]
    onnx.save(model, path)

    with pytest.raises(ParityError, match="query_vector"):
        verify_submodel(TOWER, TinyTower(), path)


@pytest.mark.parametrize(
    ("flaw", "case"), [("batch", "row 0 alone and in a batch of 8"), ("padding", "length 13 padded to 16")]
)
def test_an_answer_that_depends_on_company_or_padding_fails(flaw: str, case: str, tmp_path: Path) -> None:
    module = TinyEncoder(flaw)

    with pytest.raises(ParityError, match=f"text_encoder: output 'text_embedding' differs in case {case}"):
        verify_submodel(ENCODER, module, exported(ENCODER, module, tmp_path))


def test_real_inputs_are_compared_too(encoder_file: Path) -> None:
    """A flaw that only shows for tokens beyond those that random inputs draw."""
    module = TinyEncoder()
    module.tokens.weight.data[20000] += 1.0
    real = {"input_ids": np.full((2, 7), 20000), "attention_mask": np.ones((2, 7), np.int64)}

    assert verify_submodel(ENCODER, module, encoder_file).passed
    with pytest.raises(ParityError, match="in case real batch 1 length 16"):
        verify_submodel(ENCODER, module, encoder_file, real)


def test_a_missing_or_damaged_file_is_named(tower_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(tower_file.read_bytes()[:100])

    for name in ("cut.onnx", "absent.onnx"):
        with pytest.raises(ExportError, match=rf"query_tower: onnxruntime cannot open .*{name}"):
            verify_submodel(TOWER, TinyTower(), tmp_path / name)
