"""Encoders and towers in every precision: valid graphs, at every size; what must stay in fp32 does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import Arrays, Submodel, submodels
from shopfuse.training.models.image_encoder import ImageEncoder
from shopfuse.training.models.towers import ItemTower, UserTower
from shopfuse_exporters.onnx.export import export_submodel, tensor_problems
from shopfuse_exporters.onnx.sample_inputs import random_inputs
from shopfuse_exporters.precision.convert import convert
from shopfuse_exporters.precision.precisions import PRECISIONS
from shopfuse_exporters.precision.sensitivity import agreement

WIDTH = 32
DECLARED = submodels(WIDTH)
LEAST_MEAN = {"fp32": 1.0 - 1e-6, "fp16": 0.9999, "int8": 0.995, "int8_static": 0.995}


class SmallTransformer(nn.Module):
    """One layer of a BERT: attention with a mask, norms, feed-forward, masked mean."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(1000, WIDTH)
        self.mix, self.joined = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.tokens(input_ids)
        query, key, value = self.mix(hidden).chunk(3, dim=-1)
        scores = (query @ key.transpose(1, 2) / WIDTH**0.5).masked_fill(attention_mask[:, None] == 0, -1e4)
        hidden = self.norms[0](hidden + self.joined(torch.softmax(scores, -1) @ value))
        hidden = self.norms[1](hidden + self.feed(hidden))
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return normalize((hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0), dim=-1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("fp32")
    modules: dict[str, nn.Module] = {
        "text_encoder": SmallTransformer(),
        "image_encoder": ImageEncoder(),
        "item_tower": ItemTower(WIDTH),
        "user_tower": UserTower(),
    }
    return {name: export_submodel(DECLARED[name], module, folder / name) for name, module in modules.items()}


def batches(declaration: Submodel) -> Iterator[Arrays]:
    rng = np.random.default_rng(2)
    sizes = [{axis: size} for axis, buckets in declaration.buckets.items() for size in (buckets[0], buckets[2])]
    for axes in sizes or [{}]:
        for batch in (1, 3):
            yield random_inputs(declaration, batch, axes, rng)


def calibration(declaration: Submodel) -> Arrays:
    axes = {axis: sizes[0] for axis, sizes in declaration.buckets.items()}
    return random_inputs(declaration, 24, axes, np.random.default_rng(3))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["text_encoder", "image_encoder", "item_tower", "user_tower"])
def test_every_submodel_converts_and_answers_at_every_size(
    name: str, precision: str, exported: dict[str, Path], tmp_path: Path
) -> None:
    declaration = DECLARED[name]
    path = convert(declaration, exported[name], precision, calibration(declaration), tmp_path / "model.onnx")

    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert tensor_problems(declaration, model) == []
    full, less = OnnxModel(declaration, exported[name]), OnnxModel(declaration, path)
    for inputs in batches(declaration):
        assert agreement(full.run(inputs), less.run(inputs)).mean >= LEAST_MEAN[precision]


def typed(path: Path) -> dict[str, int]:
    """The type of every tensor of the graph."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    graph = model.graph
    known = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output, *graph.value_info)}
    return known | {tensor.name: tensor.data_type for tensor in graph.initializer}


def test_fp16_spares_norms_softmax_and_pooling_and_nothing_heavy(exported: dict[str, Path], tmp_path: Path) -> None:
    declaration = DECLARED["text_encoder"]
    path = convert(declaration, exported["text_encoder"], "fp16", {}, tmp_path / "model.onnx")

    types = typed(path)
    spared = {"LayerNormalization": 2, "Softmax": 1, "ReduceSum": 2, "ReduceL2": 1}
    nodes = list(onnx.load(path).graph.node)
    for operator, least in spared.items():
        of_operator = [node for node in nodes if node.op_type == operator]
        assert len(of_operator) >= least, operator
        assert all(types[name] == TensorProto.FLOAT for node in of_operator for name in (node.input[0], node.output[0]))
    products = [node for node in nodes if node.op_type in ("MatMul", "Gemm")]
    assert len(products) >= 6
    assert all(types[name] == TensorProto.FLOAT16 for node in products for name in node.input)


def embedding(model: OnnxModel, inputs: Arrays) -> NDArray[np.float32]:
    return model.run(inputs)["text_embedding"].astype(np.float32)


def test_static_scales_make_a_row_independent_of_its_neighbours_and_of_padding(
    exported: dict[str, Path], tmp_path: Path
) -> None:
    declaration = DECLARED["text_encoder"]
    path = convert(
        declaration, exported["text_encoder"], "int8_static", calibration(declaration), tmp_path / "model.onnx"
    )
    model = OnnxModel(declaration, path)

    inputs = random_inputs(declaration, 8, {"length": 16}, np.random.default_rng(5))
    together = embedding(model, inputs)
    alone = {name: values[:1] for name, values in inputs.items()}
    wide = {name: np.pad(values, [(0, 0), (0, 48)]) for name, values in alone.items()}
    np.testing.assert_allclose(embedding(model, alone), together[:1], atol=1e-5)
    np.testing.assert_allclose(embedding(model, wide), together[:1], atol=1e-5)
