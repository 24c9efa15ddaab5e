"""The graphs of all submodels: no control flow, and no operator that TensorRT cannot build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from transformers import BertConfig, BertModel

from shopfuse.ranking.tensors import submodels
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.models.fitted_towers import FittedItemTower, FittedUserTower
from shopfuse.training.models.image_encoder import ImageEncoder
from shopfuse.training.models.text_encoder import PooledEncoder
from shopfuse.training.models.towers import ItemTower, QueryTower, UserTower
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.onnx.export import export_submodel
from shopfuse_exporters.tensorrt.operators import (
    SUPPORTED,
    check_operators,
    operator_problems,
)

D_TEXT = 32
DECLARED = submodels(D_TEXT)


def small_text_encoder() -> nn.Module:
    config = BertConfig(
        vocab_size=1000, hidden_size=D_TEXT, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    return PooledEncoder(BertModel(config, add_pooling_layer=False))


PROJECTION = np.eye(D_TEXT, 128, dtype=np.float32)
MODULES: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "text_encoder": ("text_encoder", small_text_encoder),
    "image_encoder": ("image_encoder", ImageEncoder),
    "query_tower": ("query_tower", lambda: QueryTower(D_TEXT)),
    "item_tower": ("item_tower", lambda: ItemTower(D_TEXT)),
    "user_tower": ("user_tower", UserTower),
    "fusion_ranker": ("fusion_ranker", FusionRanker),
    "fitted item_tower": ("item_tower", lambda: FittedItemTower(PROJECTION)),
    "fitted user_tower": ("user_tower", FittedUserTower),
    "vote fusion": ("fusion_ranker", lambda: FusionRanker("vote")),
    "softmax fusion": ("fusion_ranker", lambda: FusionRanker("softmax")),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("graphs")
    return {
        case: export_submodel(DECLARED[name], make(), folder / f"{case}.onnx") for case, (name, make) in MODULES.items()
    }


@pytest.mark.parametrize("case", MODULES)
def test_no_exported_graph_has_control_flow(files: dict[str, Path], case: str) -> None:
    model = onnx.load(files[case])

    operators = Counter(node.op_type for node in model.graph.node)
    assert not [name for name in operators if name in ("Loop", "If", "Scan") or "Sequence" in name]
    assert not model.functions


@pytest.mark.parametrize("case", MODULES)
def test_tensorrt_builds_every_operator(files: dict[str, Path], case: str) -> None:
    model = onnx.load(files[case])
    problems = operator_problems(model)

    # Pixels are bytes, of which TensorRT takes nothing but their cast: image_encoder may turn them before it casts.
    if case == "image_encoder":
        assert all("'pixels' is UINT8" in problem for problem in problems)
    else:
        assert problems == []
        check_operators(case, files[case])


def test_attributes_are_summed_as_an_embedding_bag_does_and_padding_learns_nothing() -> None:
    torch.manual_seed(1)
    tower = ItemTower(D_TEXT)
    bag = nn.EmbeddingBag.from_pretrained(tower.attributes.weight.detach(), mode="sum", padding_idx=0)
    attributes = torch.randint(0, 4096, (64, 16))
    attributes[:, 9:] = 0
    attributes[0] = 0

    summed = tower.attributes(attributes).sum(1)

    torch.testing.assert_close(summed, bag(attributes), rtol=0, atol=1e-6)
    summed.square().sum().backward()
    gradient = tower.attributes.weight.grad
    assert gradient is not None
    assert gradient[0].abs().max() == 0.0
    assert gradient[attributes[1, 0]].abs().max() > 0.0


def graph(*nodes: onnx.NodeProto, kind: int = TensorProto.FLOAT, opset: int = 20) -> onnx.ModelProto:
    """x [2, 3] of `kind` -> y."""
    values = [helper.make_tensor_value_info(name, kind, [2, 3]) for name in ("x", "y")]
    built = helper.make_graph(list(nodes), "g", values[:1], values[1:])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(built, opset_imports=imports)


def test_what_tensorrt_does_not_build_is_named_with_its_node(tmp_path: Path) -> None:
    model = graph(
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="quantise"),
        helper.make_node("Unique", ["x"], ["y"], name="once"),
    )
    onnx.save(model, tmp_path / "model.onnx")

    with pytest.raises(
        ExportError, match=r"query_tower.*DynamicQuantizeLinear \(node 'quantise'\).*Unique \(node 'once'\)"
    ):
        check_operators("query_tower", tmp_path / "model.onnx")


def test_types_opsets_domains_and_computed_axes_are_looked_at() -> None:
    doubled = operator_problems(graph(helper.make_node("Softmax", ["x"], ["y"], name="n"), kind=TensorProto.INT64))
    newer = operator_problems(graph(helper.make_node("Relu", ["x"], ["y"]), opset=25))
    foreign = operator_problems(graph(helper.make_node("Gelu", ["x"], ["y"], name="n", domain="com.microsoft")))
    axes = operator_problems(graph(helper.make_node("ReduceSum", ["x", "axes"], ["y"], name="n")))

    assert doubled == ["Softmax (node 'n'): its input 'x' is INT64, supported are BF16, FP16, FP32"]
    assert newer == ["opset 25, expected 9 to 24"]
    assert foreign == ["Gelu (node 'n'): not an operator that TensorRT builds"]
    assert axes == ["ReduceSum (node 'n'): its axes 'axes' must be constant"]


def test_the_table_has_no_operator_twice_and_no_control_flow() -> None:
    assert len(SUPPORTED) > 150
    assert {"Add", "MatMul", "LayerNormalization", "Gelu", "Einsum", "Cast"} <= SUPPORTED.keys()
    assert not {"Loop", "If", "Scan", "SequenceAt", "MatMulInteger", "BitShift"} & SUPPORTED.keys()
