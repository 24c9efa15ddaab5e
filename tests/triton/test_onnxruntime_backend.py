"""The backend that stands in for NVIDIA's: right numbers for every type and batch, and loud about what is wrong."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from onnx import helper
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from shopfuse.triton.errors import ModelControlError
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_infer import answer_of, request_of
from tests.triton.tiny_models import (
    Tensor,
    add_doubling,
    add_model,
    add_scaling,
    infer,
    processes_mentioning,
    write_config,
)
from tests.tritons import is_ready

WAIT_FOR_A_BATCH = "dynamic_batching { preferred_batch_size: 16 max_queue_delay_microseconds: 300000 }"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.int32, np.uint8])
def test_numbers_of_every_type_arrive_and_come_back(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path, dtype: type[np.generic]
) -> None:
    name = f"double_{np.dtype(dtype).name}"
    add_doubling(repository, name, Tensor("x", dtype, (-1, 3)))
    triton.load(name)
    numbers = np.arange(2 * 4 * 3).reshape(2, 4, 3)

    answer = infer(stub, name, x=numbers.astype(dtype))["y"]

    assert answer.dtype == dtype
    np.testing.assert_array_equal(answer, 2 * numbers)


def test_requests_of_several_shapes_at_once_each_get_their_own_rows(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path
) -> None:
    add_doubling(repository, "shapes", Tensor("x"), options="dynamic_batching { max_queue_delay_microseconds: 20000 }")
    triton.load("shapes")
    rng = np.random.default_rng(3)
    shapes = [(1 + index % 3, 2 + index % 2) for index in range(24)]
    numbers = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    calls = [stub.ModelInfer.future(request_of("shapes", "", {"x": each}), timeout=20) for each in numbers]

    for call, sent in zip(calls, numbers, strict=True):
        np.testing.assert_array_equal(answer_of(call.result())["y"], sent + sent)


def test_requests_that_wait_together_run_as_one_batch(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path
) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["rows"], start=0, end=1),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Expand", ["rows", "shape"], ["y"]),
    ]
    add_model(repository, "rows", nodes, [Tensor("x")], [Tensor("y", np.int64)], options=WAIT_FOR_A_BATCH)
    triton.load("rows")

    calls = [
        stub.ModelInfer.future(request_of("rows", "", {"x": np.zeros((4, 1), np.float32)}), timeout=20)
        for _ in range(4)
    ]

    assert [answer_of(call.result())["y"].tolist() for call in calls] == [[[16]] * 4] * 4


def test_a_request_that_fails_leaves_its_neighbours_answered(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path
) -> None:
    table = helper.make_tensor("table", onnx.TensorProto.FLOAT, [3], [10.0, 11.0, 12.0])
    node = helper.make_node("Gather", ["table", "x"], ["y"])
    add_model(repository, "lookup", [node], [Tensor("x", np.int64)], [Tensor("y")], [table], options=WAIT_FOR_A_BATCH)
    triton.load("lookup")
    rows = [np.full((1, 1), row, np.int64) for row in (0, 7, 2)]

    calls = [stub.ModelInfer.future(request_of("lookup", "", {"x": row}), timeout=20) for row in rows]

    assert answer_of(calls[0].result())["y"] == 10.0
    with pytest.raises(grpc.RpcError, match="out of data bounds"):
        calls[1].result()
    assert answer_of(calls[2].result())["y"] == 12.0
    assert "batch of 3 requests failed, answering each alone" in triton.log_file.read_text()


def test_an_ensemble_passes_tensors_from_step_to_step(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path
) -> None:
    add_scaling(repository, "times_three", 3.0)
    add_scaling(repository, "times_five", 5.0)
    write_config(repository, text_format.Parse(ENSEMBLE, model_config_pb2.ModelConfig()))

    triton.load("times_fifteen")

    answer = infer(stub, "times_fifteen", x=np.array([[1.0, -2.0]], np.float32))["y"]
    np.testing.assert_array_equal(answer, [[15.0, -30.0]])
    assert is_ready(triton.address, "times_three", "1")


ENSEMBLE = """
name: "times_fifteen" platform: "ensemble" max_batch_size: 16
input { name: "x" data_type: TYPE_FP32 dims: -1 } output { name: "y" data_type: TYPE_FP32 dims: -1 }
ensemble_scheduling {
  step { model_name: "times_three" model_version: 1
         input_map { key: "x" value: "x" } output_map { key: "y" value: "tripled" } }
  step { model_name: "times_five" model_version: 1
         input_map { key: "x" value: "tripled" } output_map { key: "y" value: "y" } }
}
"""


def test_an_instance_group_of_two_runs_two_processes(triton: LocalTriton, repository: Path) -> None:
    add_doubling(repository, "pair", Tensor("x"), options="instance_group { count: 2 kind: KIND_CPU }")

    triton.load("pair")

    assert len(processes_mentioning(str(repository / "pair" / "1"))) == 2


def test_a_model_without_a_batch_axis_takes_its_tensors_as_they_are(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path
) -> None:
    add_doubling(repository, "no_batch", Tensor("x", dims=(2,)))
    config = text_format.Parse((repository / "no_batch" / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    config.max_batch_size = 0
    config.input[0].dims[:] = config.output[0].dims[:] = [-1, 2]
    write_config(repository, config)
    triton.load("no_batch")

    answer = infer(stub, "no_batch", x=np.ones((40, 2), np.float32))["y"]

    assert answer.tolist() == [[2.0, 2.0]] * 40


def test_the_same_question_again_comes_from_the_response_cache(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path
) -> None:
    add_doubling(repository, "cached", Tensor("x"), options="response_cache { enable: true }")
    triton.load("cached")
    number = np.ones((1, 1), np.float32)

    answers = [infer(stub, "cached", x=number)["y"].item() for _ in range(2)]

    assert answers == [2.0, 2.0]
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{triton.metrics_port}/metrics", timeout=10).read().decode()
    assert 'nv_cache_num_hits_per_model{model="cached",version="1"} 1' in metrics


def test_warm_up_samples_run_before_the_model_is_ready(own_triton: LocalTriton) -> None:
    own_triton.settings = replace(own_triton.settings, log_verbose=1)
    sample = """model_warmup { name: "four_rows" batch_size: 4 count: 2 inputs {
        key: "x" value { data_type: TYPE_FP32 dims: 8 random_data: true } } }"""
    add_doubling(own_triton.model_repository, "warmed", Tensor("x"), options=sample)
    with own_triton as triton:
        triton.load("warmed")

        before_ready = triton.log_file.read_text().partition("successfully loaded 'warmed'")[0]

    assert before_ready.count("model warmed, instance warmed_0_0, executing 4 requests") == 2


def _declare(repository: Path, name: str, options: str) -> None:
    add_doubling(repository, name, Tensor("x"))
    config = text_format.Parse((repository / name / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    config.ClearField("input")
    write_config(repository, config, options)


WRONG_MODELS = {
    "wrong_type": ('input { name: "x" data_type: TYPE_INT64 dims: -1 }', "input 'x' as tensor\\(int64\\)"),
    "wrong_name": ('input { name: "z" data_type: TYPE_FP32 dims: -1 }', "input 'z' as tensor\\(float\\)"),
    "wrong_place": (
        'input { name: "x" data_type: TYPE_FP32 dims: -1 }'
        'optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } }',
        "asks for a GPU; here is a CPU only",
    ),
    "wrong_threads": (
        'input { name: "x" data_type: TYPE_FP32 dims: -1 }'
        'parameters { key: "intra_op_thread_count" value { string_value: "many" } }',
        "intra_op_thread_count: expected a whole number, got 'many'",
    ),
}


@pytest.mark.parametrize("name", WRONG_MODELS)
def test_a_config_that_does_not_fit_its_graph_is_refused_at_load(
    triton: LocalTriton, repository: Path, name: str
) -> None:
    options, complaint = WRONG_MODELS[name]
    _declare(repository, name, options)

    with pytest.raises(ModelControlError, match=complaint) as refusal:
        triton.load(name)

    assert f"cannot load '{name}'" in str(refusal.value)


def test_an_input_that_the_config_forgets_is_refused_at_load(triton: LocalTriton, repository: Path) -> None:
    node = helper.make_node("Add", ["x", "z"], ["y"])
    add_model(repository, "forgotten", [node], [Tensor("x"), Tensor("z")], [Tensor("y")])
    config = text_format.Parse((repository / "forgotten" / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    del config.input[1]
    write_config(repository, config)

    with pytest.raises(ModelControlError, match=r"needs inputs that config.pbtxt does not declare: \{'z'\}"):
        triton.load("forgotten")


def test_a_file_that_is_no_model_is_refused_at_load(triton: LocalTriton, repository: Path) -> None:
    add_doubling(repository, "garbage", Tensor("x"))
    (repository / "garbage" / "1" / "model.onnx").write_bytes(b"not a model")

    with pytest.raises(ModelControlError, match=r"onnxruntime cannot open .*garbage/1/model.onnx"):
        triton.load("garbage")
