"""TensorRT reads every graph that a release may hold, in every precision for GPUs, and names what it refuses.

The parser and the builder are the real ones (TensorRT for RTX, which needs no GPU to build).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import transformers
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from shopfuse.inference.text_encoding import open_tokenizer, padded, tokens_of
from shopfuse.ranking.tensors import Arrays, Submodel, submodels
from shopfuse.ranking.text_heads import text_heads
from shopfuse.training.fusion.ranker import METHODS, FusionRanker
from shopfuse.training.models.image_encoder import ImageEncoder
from shopfuse.training.models.image_tower import ImageTower
from shopfuse.training.models.text_encoder import load_text_encoder
from shopfuse.training.models.text_head import TextHead
from shopfuse.training.models.towers import ItemTower, QueryTower, UserTower
from shopfuse.training.models.vision_tower import VisionTower
from shopfuse_exporters.errors import ExportError, PrecisionError
from shopfuse_exporters.onnx.export import export_submodel
from shopfuse_exporters.onnx.sample_inputs import random_inputs
from shopfuse_exporters.precision.convert import convert
from shopfuse_exporters.tensorrt import network
from shopfuse_exporters.tensorrt.engine_check import opens
from shopfuse_exporters.tensorrt.network import parsed_network, serialized_engine
from shopfuse_exporters.tensorrt.release_check import check_model
from shopfuse_exporters.tensorrt.rtx import SERVED, Rtx, open_rtx
from shopfuse_exporters.triton.targets import GPU_PRECISIONS, Shapes

ARCHITECTURES = ("sm80", "sm86", "sm89", "sm120")
TEXT, IMAGE = 384, 128
DECLARED = submodels(TEXT)
LABELS = {"category_head": 54, "sentiment_head": 3}
HEADS = text_heads(TEXT, LABELS)
TEXTS = [
    f"{colour} {thing}" for colour in ("red", "blue", "plain") for thing in ("running shoes", "lamp", "kettle 2 l")
]


def vision_tower() -> VisionTower:
    config = transformers.ViTConfig(
        hidden_size=IMAGE,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=64,
        patch_size=16,
    )
    return VisionTower(transformers.ViTModel(config, add_pooling_layer=False), "vit", [0.5] * 3, [0.5] * 3)


MODULES: dict[str, tuple[Submodel, Callable[[], nn.Module]]] = {
    "text_encoder": (DECLARED["text_encoder"], lambda: load_text_encoder("embedded").module),
    "image_encoder": (DECLARED["image_encoder"], ImageEncoder),
    "image_encoder of a ViT": (DECLARED["image_encoder"], vision_tower),
    "query_tower": (DECLARED["query_tower"], partial(QueryTower, TEXT)),
    "image_tower": (DECLARED["image_tower"], partial(ImageTower, IMAGE)),
    "item_tower": (DECLARED["item_tower"], partial(ItemTower, TEXT)),
    "user_tower": (DECLARED["user_tower"], UserTower),
    **{name: (HEADS[name], partial(TextHead, TEXT, labels)) for name, labels in LABELS.items()},
    **{f"fusion_ranker, {method}": (DECLARED["fusion_ranker"], partial(FusionRanker, method)) for method in METHODS},
}


@pytest.fixture(scope="module")
def rtx() -> Rtx:
    return open_rtx(ARCHITECTURES)


def exported(name: str, folder: Path) -> tuple[Submodel, Path]:
    declaration, make = MODULES[name]
    torch.manual_seed(0)
    return declaration, export_submodel(declaration, make().eval(), folder / "model.onnx")


def rows(declaration: Submodel) -> Arrays:
    """To calibrate with: real texts for the encoder, whose layers are quantised by what they cost on them."""
    if declaration.name == "text_encoder":
        encoder = load_text_encoder("embedded")
        return padded(tokens_of(open_tokenizer(encoder.tokenizer_json, encoder.max_tokens), TEXTS))
    axes = {axis: sizes[0] for axis, sizes in declaration.buckets.items()}
    return random_inputs(declaration, 24, axes, np.random.default_rng(3))


@pytest.mark.parametrize("name", MODULES)
def test_every_graph_is_read_and_built_in_every_precision(name: str, rtx: Rtx, tmp_path: Path) -> None:
    declaration, fp32 = exported(name, tmp_path)
    calibration = rows(declaration)

    for precision in GPU_PRECISIONS:
        try:
            path = convert(declaration, fp32, precision, calibration, tmp_path / f"{precision}.onnx", for_gpu=True)
        except PrecisionError:
            assert precision == "int8_static"  # nothing to quantise, or nothing would be left of the answers
            continue
        checked = check_model(declaration, path, precision, rtx)
        assert checked.refused == ""
        assert checked.bytes > 1000


def model_of(declaration: Submodel, nodes: list[onnx.NodeProto], path: Path) -> Path:
    """A graph with the declared tensors; what its nodes do not make is a copy of the first input."""
    kinds = {"FP32": TensorProto.FLOAT, "FP16": TensorProto.FLOAT16, "INT64": TensorProto.INT64}
    inputs, outputs = (
        [helper.make_tensor_value_info(one.name, kinds[one.dtype], ["batch", *one.dims]) for one in tensors]
        for tensors in (declaration.inputs, declaration.outputs)
    )
    graph = helper.make_graph(nodes, declaration.name, inputs, outputs)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("shop.own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


SAME = replace(DECLARED["query_tower"], outputs=(replace(DECLARED["query_tower"].inputs[0], name="query_vector"),))


@pytest.mark.parametrize(
    ("operator", "domain", "reason"),
    [("Det", "", r"Det \(node 'planted'\)"), ("Mystery", "shop.own", r"Mystery \(node 'planted'\)")],
)
def test_a_planted_operator_is_named_with_its_node(
    operator: str, domain: str, reason: str, rtx: Rtx, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("Identity", ["text_embedding"], ["copied"], name="fine"),
        helper.make_node(operator, ["copied"], ["query_vector"], name="planted", domain=domain),
    ]

    checked = check_model(SAME, model_of(SAME, nodes, tmp_path / "model.onnx"), "fp32", rtx)

    assert checked.bytes == 0
    assert "TensorRT cannot read" in checked.refused
    assert re.search(reason, checked.refused)
    assert "'fine'" not in checked.refused


def test_int8_whose_scales_are_found_in_every_call_is_refused(rtx: Rtx, tmp_path: Path) -> None:
    declaration, fp32 = exported("query_tower", tmp_path)
    path = convert(declaration, fp32, "int8", rows(declaration), tmp_path / "int8.onnx")

    assert "DynamicQuantizeLinear (node" in check_model(declaration, path, "int8", rtx).refused


def test_int8_for_cpus_is_refused_and_what_is_for_gpus_has_one_zero(rtx: Rtx, tmp_path: Path) -> None:
    declaration, fp32 = exported("query_tower", tmp_path)
    for_cpu = convert(declaration, fp32, "int8_static", rows(declaration), tmp_path / "cpu.onnx")
    for_gpu = convert(declaration, fp32, "int8_static", rows(declaration), tmp_path / "gpu.onnx", for_gpu=True)

    assert "DequantizeLinear (node" in check_model(declaration, for_cpu, "int8_static", rtx).refused
    zeros = [tensor for tensor in onnx.load(for_gpu).graph.initializer if tensor.name.endswith("zero_point")]
    assert zeros
    assert all(not numpy_helper.to_array(zero).any() for zero in zeros)


def test_a_tensor_that_is_not_as_declared_is_named(rtx: Rtx, tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["text_embedding"], ["query_vector"], name="same")
    path = model_of(SAME, [node], tmp_path / "model.onnx")

    with pytest.raises(ExportError, match=r"output 'query_vector': expected .*128.*, found .*384"):
        parsed_network(rtx.trt, rtx.trt.Builder(network.error_log(rtx.trt)), path, DECLARED["query_tower"])


def test_a_profile_that_tensorrt_refuses_is_named(rtx: Rtx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declaration, fp32 = exported("query_tower", tmp_path)
    upside_down = Shapes(least=(64, TEXT), tuned=(8, TEXT), most=(1, TEXT))
    monkeypatch.setattr(network, "profiles", lambda _: ({"text_embedding": upside_down},))

    with pytest.raises(ExportError, match="query_tower: TensorRT refuses profile 0"):
        serialized_engine(rtx.trt, fp32, declaration, architectures=rtx.architectures)


def test_an_engine_that_was_cut_or_is_none_is_refused_and_a_whole_one_waits_for_a_gpu(rtx: Rtx, tmp_path: Path) -> None:
    declaration, fp32 = exported("query_tower", tmp_path)
    engine = serialized_engine(rtx.trt, fp32, declaration, architectures=rtx.architectures)

    for damaged in (engine[:-1], engine[: len(engine) // 2], engine[:40], b"no engine at all " * 50):
        with pytest.raises(ExportError, match="cut short or is none"):
            opens(rtx.trt, declaration, damaged)
    assert opens(rtx.trt, declaration, engine) in (False, True)  # True where this machine has a GPU
    assert engine == serialized_engine(rtx.trt, fp32, declaration, architectures=rtx.architectures)


@pytest.mark.parametrize("unknown", ["sm90", "hopper", "", "SM89"])
def test_an_architecture_that_tensorrt_does_not_know_is_named(unknown: str) -> None:
    with pytest.raises(ExportError, match=f"GPU architecture {unknown}: TensorRT for RTX .* builds for sm75, sm80"):
        open_rtx(["sm89", unknown])


def test_architectures_are_sorted_and_the_usual_ones_are_served() -> None:
    assert open_rtx(["sm120", "sm80", "sm89", "sm80"]).architectures == ("sm80", "sm89", "sm120")
    assert set(open_rtx().architectures) <= set(SERVED)


def test_without_the_wheels_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx_libs", None)

    with pytest.raises(ExportError, match=r"pip install 'shopfuse-exporters\[tensorrt-rtx\]'"):
        open_rtx()
