"""Which layers are left out, how activations are evened out, and what calibration rows must look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shopfuse.core.progress import silent
from shopfuse.ranking import tensors
from shopfuse.ranking.tensors import Arrays, Submodel
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.onnx.export import export_submodel
from shopfuse_exporters.onnx.sample_inputs import random_inputs
from shopfuse_exporters.precision.calibration import calibration_batches, largest_activations
from shopfuse_exporters.precision.int8 import to_int8
from shopfuse_exporters.precision.row_cosines import row_cosines
from shopfuse_exporters.precision.sensitivity import Agreement, Group, answers, choose, quantisable
from shopfuse_exporters.precision.smoothing import smoothed

WIDTH = 16
DECLARATION = Submodel(
    "query_tower",
    (tensors.Tensor("text_embedding", "FP32", (WIDTH,)),),
    (tensors.Tensor("query_vector", "FP32", (WIDTH,)),),
    {},
    max_batch=16,
)
Judge = Callable[[Sequence[Group]], Agreement]
GROUPS = [Group(name, (name,)) for name in "abcd"]


class Fragile(nn.Module):
    """The second layer subtracts large numbers that nearly cancel: what is left drowns in the steps of int8."""

    def __init__(self, fragile: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.third = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.offset = 300.0 if fragile else 0.0
        with torch.no_grad():
            self.second.weight -= self.second.weight.mean(1, keepdim=True)  # a constant input vanishes

    def forward(self, text_embedding: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(text_embedding)) + self.offset
        out: Tensor = self.third(torch.tanh(3.0 * self.second(hidden)))
        return out


def rows(count: int = 64) -> Arrays:
    return random_inputs(DECLARATION, count, {}, np.random.default_rng(1))


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_submodel(DECLARATION, Fragile(True), tmp_path_factory.mktemp("fragile") / "model.onnx")


@pytest.fixture(scope="module")
def sturdy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_submodel(DECLARATION, Fragile(False), tmp_path_factory.mktemp("sturdy") / "model.onnx")


@pytest.mark.parametrize("precision", ["int8", "int8_static"])
def test_the_fragile_layer_stays_in_fp32(precision: str, fragile: Path) -> None:
    quantised = to_int8(DECLARATION, fragile, precision, calibration_batches(DECLARATION, rows()), silent)

    costs = quantised.choice.costs
    assert [group.activation for group in quantised.choice.left_out] == [max(costs, key=lambda name: costs[name])]
    assert len(quantised.choice.kept) == 2
    floats = [tensor for tensor in quantised.model.graph.initializer if list(tensor.dims) == [WIDTH, WIDTH]]
    assert sorted(tensor.data_type for tensor in floats) == [onnx.TensorProto.FLOAT] + 2 * [onnx.TensorProto.INT8]


def test_a_sturdy_model_is_quantised_whole(sturdy: Path) -> None:
    quantised = to_int8(DECLARATION, sturdy, "int8_static", calibration_batches(DECLARATION, rows()), silent)

    assert quantised.choice.left_out == ()
    assert quantised.choice.agreement.mean > 0.997


def numbers(batch: Arrays, name: str = "text_embedding") -> NDArray[np.float32]:
    return batch[name].astype(np.float32)


def judge(
    costs: dict[str, float], factor: float = 1.0
) -> tuple[Callable[[Sequence[Group]], Agreement], list[list[str]]]:
    """A judge for whom the costs of groups add up, times `factor`; and what it was asked."""
    judged: list[list[str]] = []

    def answer(groups: Sequence[Group]) -> Agreement:
        judged.append([group.activation for group in groups])
        return Agreement(1.0 - factor * sum(costs[group.activation] for group in groups), 0.99)

    return answer, judged


def test_layers_are_left_out_worst_first_until_the_bound_holds() -> None:
    answer, judged = judge({"a": 0.001, "b": 0.01, "c": 0.0001, "d": 0.004})

    choice = choose(DECLARATION, GROUPS, answer, Agreement(0.998, 0.9), silent)
    assert [group.activation for group in choice.left_out] == ["b", "d"]
    assert [group.activation for group in choice.kept] == ["a", "c"]
    assert judged[-1] == ["a", "c"]


def test_a_model_without_a_layer_within_the_bound_is_refused() -> None:
    answer, _ = judge(dict.fromkeys("abcd", 0.1))

    with pytest.raises(ExportError, match=r"query_tower: no layer of it can be quantised.*0\.60000.*expected 0\.998"):
        choose(DECLARATION, GROUPS, answer, Agreement(0.998, 0.9), silent)


def test_smoothing_changes_no_answer_and_evens_out_channels(sturdy: Path, tmp_path: Path) -> None:
    batches = calibration_batches(DECLARATION, rows())
    for batch in batches:
        batch["text_embedding"] = np.where(np.arange(WIDTH) == 3, 50.0, 1.0).astype(np.float32) * numbers(batch)
    model = onnx.load(sturdy)
    groups = quantisable(model)
    largest = largest_activations(model, [group.activation for group in groups], batches)
    onnx.save(smoothed(model, groups, largest), tmp_path / "smooth.onnx")

    expected, actual = (answers(DECLARATION, path, batches) for path in (sturdy, tmp_path / "smooth.onnx"))
    np.testing.assert_allclose(numbers(actual, "query_vector"), numbers(expected, "query_vector"), atol=1e-4)
    after = quantisable(onnx.load(tmp_path / "smooth.onnx"))[0].activation
    evened = largest_activations(onnx.load(tmp_path / "smooth.onnx"), [after], batches)[after]
    before = largest[groups[0].activation]
    assert evened.max() / evened.min() < 0.5 * before.max() / before.min()


@pytest.mark.parametrize(
    ("calibration", "text"),
    [
        ({"mystery": np.zeros((3, WIDTH), np.float32)}, r"query_tower: calibration rows for \['mystery'\]"),
        ({"text_embedding": np.zeros((3, 9), np.float32)}, r"'text_embedding': expected rows \[16\], found \[9\]"),
        ({"text_embedding": np.zeros((0, WIDTH), np.float32)}, r"tensors \['text_embedding'\] without a row"),
    ],
)
def test_calibration_rows_that_do_not_fit_are_named(calibration: Arrays, text: str) -> None:
    with pytest.raises(ExportError, match=text):
        calibration_batches(DECLARATION, calibration)


def test_calibration_rows_must_be_aligned() -> None:
    declaration = tensors.submodels(WIDTH)["item_tower"]
    calibration: Arrays = {
        "text_embedding": np.zeros((3, WIDTH), np.float32),
        "presence": np.zeros((4, 3), np.float32),
    }

    with pytest.raises(ExportError, match=r"item_tower: calibration rows must be aligned, found .*3.*4"):
        calibration_batches(declaration, calibration)


def test_rows_are_spread_over_all_and_missing_inputs_are_drawn() -> None:
    declaration = tensors.submodels(WIDTH)["item_tower"]
    shop_rows = np.arange(1000, dtype=np.float32)[:, None].repeat(WIDTH, 1)

    batches = calibration_batches(declaration, {"text_embedding": shop_rows})
    assert batches[0].keys() == {tensor.name for tensor in declaration.inputs}
    drawn = np.concatenate([batch["text_embedding"][:, 0] for batch in batches])
    assert (len(drawn), drawn[0], drawn[-1]) == (128, 0.0, 999.0)


def test_rows_of_zeros_agree_with_each_other_only_and_nan_stays() -> None:
    left = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [np.nan, 0.0]])
    right = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])

    np.testing.assert_allclose(row_cosines(left, right), [2**-0.5, 1.0, 0.0, np.nan])
    assert not Agreement(float("nan"), 1.0).reaches(Agreement(0.5, 0.5))
