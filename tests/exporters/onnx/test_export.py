"""An exported file has exactly the declared tensors, and the same weights give the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import pytest
from torch import Tensor, nn

from shopfuse.ranking import tensors
from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.onnx.export import export_submodel
from tests.exporters.tiny_models import ENCODER, TOWER, TinyEncoder, TinyTower, exported


def test_names_types_and_axes_are_those_of_the_declaration(encoder_file: Path) -> None:
    session = onnxruntime.InferenceSession(encoder_file)

    inputs = [(value.name, value.type, value.shape) for value in session.get_inputs()]
    assert inputs == [(name, "tensor(int64)", ["batch", "length"]) for name in ("input_ids", "attention_mask")]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("text_embedding", ["batch", 8])]


def test_same_weights_give_the_same_bytes_and_no_trace_of_the_machine(tower_file: Path, tmp_path: Path) -> None:
    first = tower_file.read_bytes()

    assert exported(TOWER, TinyTower(), tmp_path).read_bytes() == first
    assert b".py" not in first


def test_other_weights_give_other_bytes(tower_file: Path, tmp_path: Path) -> None:
    module = TinyTower()
    module.query.bias.data[0] += 1.0

    assert exported(TOWER, module, tmp_path).read_bytes() != tower_file.read_bytes()


def test_an_export_prints_nothing_and_warns_of_nothing(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    class Bags(nn.Module):
        """An operator whose export makes three libraries talk."""

        def __init__(self) -> None:
            super().__init__()
            self.bags = nn.EmbeddingBag(4096, 8, padding_idx=0)

        def forward(self, attributes: Tensor) -> Tensor:
            vectors: Tensor = self.bags(attributes)
            return vectors

    inputs, outputs = tensors.Tensor("attributes", "INT64", (16,)), tensors.Tensor("item_vector", "FP32", (8,))
    exported(Submodel("item_tower", (inputs,), (outputs,), {}, max_batch=8), Bags(), tmp_path)

    assert capfd.readouterr() == ("", "")
    assert not [record.getMessage() for record in caplog.records if record.levelname != "DEBUG"]
    assert not list(recwarn)


def test_an_input_that_the_module_ignores_stays(tmp_path: Path) -> None:
    class Deaf(nn.Module):
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return attention_mask.float().mean(1, keepdim=True).repeat(1, 8)

    model = onnx.load(exported(ENCODER, Deaf(), tmp_path))

    assert [value.name for value in model.graph.input] == ["input_ids", "attention_mask"]


def test_a_module_with_another_output_shape_is_refused(tmp_path: Path) -> None:
    declaration = replace(ENCODER, outputs=(tensors.Tensor("text_embedding", "FP32", (9,)),))

    with pytest.raises(ExportError, match=r"text_encoder: .*'text_embedding': expected .*9.*found .*8"):
        exported(declaration, TinyEncoder(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_module_that_fixes_the_batch_is_refused(tmp_path: Path) -> None:
    class Fixed(nn.Module):
        def forward(self, text_embedding: Tensor) -> tuple[Tensor, Tensor]:
            flat = text_embedding.reshape(2, 8)[:, :4]
            return flat, flat + 1

    with pytest.raises(ExportError, match=r"query_tower: .*'text_embedding': expected .*'batch', 8.*found .*2, 8"):
        export_submodel(TOWER, Fixed(), tmp_path / "model.onnx")


def test_a_module_that_branches_on_values_is_refused_in_one_line(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, text_embedding: Tensor) -> tuple[Tensor, Tensor]:
            half = text_embedding[:, :4]
            return (half, half + 1) if float(half.sum()) > 0 else (half, half - 1)

    with pytest.raises(ExportError, match="query_tower: torch cannot export it: ") as refusal:
        export_submodel(TOWER, Branching(), tmp_path / "model.onnx")
    assert "\n" not in str(refusal.value)


def test_an_input_without_declared_values_is_named(tmp_path: Path) -> None:
    declaration = replace(TOWER, inputs=(tensors.Tensor("mystery", "FP32", (8,)),))

    with pytest.raises(ExportError, match="query_tower: no random values are declared for its input 'mystery'"):
        exported(declaration, TinyTower(), tmp_path)
