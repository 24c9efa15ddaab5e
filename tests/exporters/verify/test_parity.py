"""The verifier passes faithful models and fails every kind of unfaithful one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from torch import nn

from shopfuse.cli.release_page import parity_table
from shopfuse.inference.onnx_model import ModelFileError
from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.precision.precisions import PRECISIONS
from shopfuse_exporters.verify import verified_model
from shopfuse_exporters.verify.cases import RealInputs, reference_cases
from shopfuse_exporters.verify.parity import ParityReport, verify_submodel
from shopfuse_exporters.verify.tolerances import tolerance
from shopfuse_exporters.verify.verified_model import export_verified
from tests.exporters.conftest import Export
from tests.exporters.tiny_models import ENCODER, TOWER, TinyEncoder, TinyTower, exported, poisoned

TOKENS = {"input_ids": np.arange(1, 101).reshape(5, 20), "attention_mask": np.ones((5, 20), np.int64)}
SHORT = {name: values[:, :7] for name, values in TOKENS.items()}


def verify(
    declaration: Submodel,
    module: nn.Module,
    path: Path,
    real: RealInputs | None = None,
    precision: str = "fp32",
    accept: str | None = None,
) -> ParityReport:
    cases = reference_cases(declaration, module, real or {})
    return verify_submodel(declaration, cases, path, real, precision, accept)


def test_a_faithful_model_passes_with_a_report(tower_file: Path) -> None:
    report = verify(TOWER, TinyTower(), tower_file)

    assert report.passed
    assert report.max_abs_diff < 1e-6
    assert min(report.cosine_min, report.cosine_mean) > 0.999999
    assert max(report.neighbours, report.padding) < 1e-6
    assert json.loads(json.dumps(report.as_dict()))["model"] == "query_tower"


def test_batches_buckets_and_paddings_are_all_tried(encoder_file: Path) -> None:
    report = verify(ENCODER, TinyEncoder(), encoder_file, TOKENS)

    # random: batches 1, 3 and 8 at the first bucket, 1 and 3 at the second; real: 1 and all 5; alone: 3 each; padded: 2
    assert report.cases == 3 + 2 + 2 + 3 + 3 + 2


def test_a_poisoned_weight_fails(tower_file: Path, tmp_path: Path) -> None:
    path = poisoned(tower_file, tmp_path, 0.5)

    with pytest.raises(
        ParityError, match=r"query_tower: output '\w+' in fp32 differs in case random batch 1: .*0.0001"
    ):
        verify(TOWER, TinyTower(), path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_named_before_anything_is_exported(value: float, tmp_path: Path) -> None:
    module = TinyTower()
    module.other.bias.data[0] = value

    with pytest.raises(
        ParityError, match=r"query_tower: weight 'other.bias': expected finite .* NaN or infinity in 1 of 4"
    ):
        export_verified(TOWER, module, tmp_path, accept="no reason is good enough")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_file_with_a_weight_that_is_no_number_is_refused(value: float, tower_file: Path, tmp_path: Path) -> None:
    path = poisoned(tower_file, tmp_path, value)

    with pytest.raises(ParityError, match=r"query_tower: .*\.onnx: weight '.*': .* NaN or infinity in 1 of 32"):
        verify(TOWER, TinyTower(), path, accept="no reason is good enough")


def test_answers_that_are_no_numbers_fail_on_both_sides(tmp_path: Path) -> None:
    class Root(TinyTower):
        """Finite weights, and the square root of negative numbers."""

        def forward(self, text_embedding):  # type: ignore[no-untyped-def]
            query, other = super().forward(text_embedding)
            return query, (-other.abs() - 1.0).sqrt()

    with pytest.raises(
        ParityError, match="output 'other_vector' is NaN or infinite in case random batch 1: the reference"
    ):
        verify(TOWER, Root(), exported(TOWER, Root(), tmp_path), accept="no reason is good enough")


def test_swapped_outputs_fail(tower_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "swapped.onnx"
    model = onnx.load(tower_file)
    names = {"query_vector": "other_vector", "other_vector": "query_vector"}
    for node in model.graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]
    onnx.save(model, path)

    with pytest.raises(ParityError, match="query_vector"):
        verify(TOWER, TinyTower(), path)


def test_a_tensor_that_is_not_as_declared_fails(tower_file: Path, tmp_path: Path) -> None:
    model = onnx.load(tower_file)
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 5
    onnx.save(model, tmp_path / "wide.onnx")

    with pytest.raises(
        ParityError, match=r"query_tower: wide.onnx is not as declared: output 'other_vector': expected"
    ):
        verify(TOWER, TinyTower(), tmp_path / "wide.onnx", accept="no reason is good enough")


def test_an_answer_of_a_wrong_shape_fails(tower_file: Path, tmp_path: Path) -> None:
    """The file declares what it should and gives one number less."""
    model = onnx.load(tower_file)
    (last,) = [node for node in model.graph.node if "other_vector" in node.output]
    last.output[0] = "whole"
    for name, value in (("from", 0), ("to", 3), ("axis", 1)):
        model.graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [1], [value]))
    model.graph.node.append(onnx.helper.make_node("Slice", ["whole", "from", "to", "axis"], ["other_vector"]))
    onnx.save(model, tmp_path / "short.onnx")

    with pytest.raises(ParityError, match=r"output 'other_vector' has shape \(1, 3\) in case random batch 1, expected"):
        verify(TOWER, TinyTower(), tmp_path / "short.onnx", accept="no reason is good enough")


@pytest.mark.parametrize(
    ("flaw", "case"), [("batch", r"\w+ row 0 alone and in a batch of \d"), ("padding", r"\w+ length \d+ padded to \d+")]
)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8_static"])
def test_an_answer_that_depends_on_company_or_padding_fails(
    flaw: str, case: str, precision: str, export_once: Export, tmp_path: Path
) -> None:
    module = TinyEncoder(flaw)
    path = export_once(ENCODER, module, tmp_path / "text_encoder.onnx")

    with pytest.raises(
        ParityError, match=f"text_encoder: output 'text_embedding' in {precision} differs in case {case}"
    ):
        verify(ENCODER, module, path, None if precision != "int8_static" else SHORT, precision)


def test_real_inputs_are_compared_too(encoder_file: Path) -> None:
    """A flaw that only shows for tokens beyond those that random inputs draw."""
    module = TinyEncoder()
    module.tokens.weight.data[20000] += 1.0
    real = {"input_ids": np.full((2, 7), 20000), "attention_mask": np.ones((2, 7), np.int64)}

    assert verify(ENCODER, module, encoder_file).passed
    with pytest.raises(ParityError, match="in case real batch 1 length 16"):
        verify(ENCODER, module, encoder_file, real)


def test_a_missing_or_damaged_file_is_named(tower_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(tower_file.read_bytes()[:100])

    for name in ("cut.onnx", "absent.onnx"):
        with pytest.raises(ModelFileError, match=rf"query_tower: onnxruntime cannot open .*{name}"):
            verify(TOWER, TinyTower(), tmp_path / name)


def test_a_failure_is_accepted_for_a_reason_only(tower_file: Path, tmp_path: Path) -> None:
    path = poisoned(tower_file, tmp_path, 0.5)

    for nothing in ("", "  "):
        with pytest.raises(
            ParityError, match="query_tower: a parity failure is accepted for a reason only, found none"
        ):
            verify(TOWER, TinyTower(), path, accept=nothing)
    report = verify(TOWER, TinyTower(), path, accept=" tried by hand, see the ticket ")
    assert not report.passed
    assert report.accepted == "tried by hand, see the ticket"
    assert "differs in case" in report.problem


def test_a_model_that_passes_needs_no_reason(tower_file: Path) -> None:
    report = verify(TOWER, TinyTower(), tower_file, accept="to be sure")

    assert report.passed
    assert report.accepted == report.problem == ""


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="precision 'int4': expected one of fp32, fp16, int8, int8_static"):
        export_verified(TOWER, TinyTower(), tmp_path, precision="int4")


def test_quantised_models_are_judged_on_real_inputs_where_there_are_any(encoder_file: Path) -> None:
    """Random ones lie outside of what the scales were calibrated with."""
    module = TinyEncoder()
    module.tokens.weight.data[1000] *= -1.0  # beyond the random tokens
    real = {"input_ids": np.full((2, 7), 1000), "attention_mask": np.ones((2, 7), np.int64)}

    assert verify(ENCODER, TinyEncoder(), encoder_file, TOKENS, "int8").cases == 2 + 3 + 0  # 20 tokens: the last bucket
    assert verify(ENCODER, module, encoder_file, precision="int8").passed
    with pytest.raises(ParityError, match="in int8 differs in case real batch 1 length 16: largest difference"):
        verify(ENCODER, module, encoder_file, real, "int8")


def test_a_wrong_export_is_not_excused_by_a_precision(
    tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = poisoned(tower_file, tmp_path, 0.05)
    monkeypatch.setattr(verified_model, "export_submodel", lambda *_: path)

    with pytest.raises(ParityError, match="in fp32 differs"):
        export_verified(TOWER, TinyTower(), tmp_path, precision="int8", accept="int8 is never exact")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_is_converted_and_held_to_its_own_bounds(
    precision: str, export_once: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified_model, "export_submodel", export_once)
    real = {"text_embedding": np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)}

    verified = export_verified(TOWER, TinyTower(), tmp_path, real, precision)

    assert (verified.precision, verified.report.precision) == (precision, precision)
    assert verified.report.passed
    assert verified.report.max_abs_diff <= tolerance(TOWER, "query_vector", precision).max_abs
    assert verified.open().run({"text_embedding": real["text_embedding"]})["query_vector"].dtype == np.float32


def test_the_table_has_a_row_for_each_model(tower_file: Path, encoder_file: Path, tmp_path: Path) -> None:
    accepted = verify(TOWER, TinyTower(), poisoned(tower_file, tmp_path, 0.5), accept="a trial")
    parity = {report.model: report.as_dict() for report in (accepted, verify(ENCODER, TinyEncoder(), encoder_file))}

    tower, encoder = parity_table(json.loads(json.dumps(parity)))
    assert (tower.model, tower.verdict, tower.overlap) == ("query_tower", "accepted: a trial", None)
    assert (encoder.model, encoder.verdict, encoder.precision) == ("text_encoder", "passed", "fp32")
    assert tower.max_abs > 1e-4 > encoder.max_abs
