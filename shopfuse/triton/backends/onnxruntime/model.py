"""Serves `backend: "onnxruntime"` models where Triton has no C++ backend of that name: in its pip package.

A config.pbtxt written for NVIDIA's backend works here unchanged: `<version>/model.onnx`, instance groups, dynamic
batching, model_warmup and `intra_op_thread_count`. Instances are processes of their own, so they run in parallel.
A model whose parameter `engine` names the record of an engine of TensorRT for RTX runs on the GPU that the engine fits;
where none does, the ONNX file runs on CUDA or on the CPU, and the change is logged and counted. All else runs on the
CPU: it knows no KIND_GPU, no execution accelerators, no sequences and no decoupled answers, as NVIDIA's backend does.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

sys.path.append(str(Path(__file__).parent))
from rtx_engine import EngineSession, EngineUnfit, open_engine

Tensors = dict[str, "np.ndarray[Any, Any]"]

# TF32 would round fp32 to 10 bits: parity ends there.
CUDA = ("CUDAExecutionProvider", {"use_tf32": "0"})
ONNX_TYPES = {
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_UINT16": "tensor(uint16)",
    "TYPE_UINT32": "tensor(uint32)",
    "TYPE_UINT64": "tensor(uint64)",
    "TYPE_INT8": "tensor(int8)",
    "TYPE_INT16": "tensor(int16)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP64": "tensor(double)",
    "TYPE_STRING": "tensor(string)",
}


class TritonPythonModel:
    """One instance of one version of one model; Triton dictates the class's name and its methods."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the session; whatever is wrong is raised here, so that the load fails and not the first request."""
        refuse_numpy_2(np.__version__)
        config: dict[str, Any] = json.loads(args["model_config"])
        refuse_gpu(config)
        path = Path(args["model_repository"], args["model_version"], config["default_model_filename"] or "model.onnx")
        self.session = self.opened(args, config, path)
        check_tensors("input", config["input"], self.session.get_inputs(), path)
        check_tensors("output", config["output"], self.session.get_outputs(), path)
        self.outputs = [output["name"] for output in config["output"]]
        self.stackable = config["max_batch_size"] > 0

    def opened(
        self, args: dict[str, str], config: dict[str, Any], path: Path
    ) -> "onnxruntime.InferenceSession | EngineSession":
        """The engine where the config names one that fits, else the ONNX file."""
        threads = intra_op_threads(config)
        record = config.get("parameters", {}).get("engine", {}).get("string_value", "")
        if not record:
            return open_session(path, threads)
        self.fallbacks = Fallbacks(args["model_name"], args["model_version"])
        try:
            return open_engine(path.with_name(record))
        except EngineUnfit as error:
            self.fallbacks.count(error.reason, str(error))
        if CUDA[0] in onnxruntime.get_available_providers():
            try:
                return open_session(path, threads, [CUDA, "CPUExecutionProvider"])
            except pb_utils.TritonModelException as error:
                self.fallbacks.count("cuda", str(error))
        return open_session(path, threads)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response per request, in order; a request that fails gets an error and its neighbours their answers."""
        if len(requests) > 1 and self.stackable:
            try:
                return self.answer_together(requests)
            except Exception as error:  # noqa: BLE001  any of them may be the cause: answering each alone tells
                pb_utils.Logger.log_warn(f"batch of {len(requests)} requests failed, answering each alone: {error}")
        return [self.answer(request) for request in requests]

    def answer_together(self, requests: Sequence[Any]) -> list[Any]:
        """Stacks the rows of all requests, runs once, and hands every request its rows back (views, not copies)."""
        feeds = [inputs_of(request) for request in requests]
        stacked = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
        results = self.session.run(self.outputs, stacked)
        responses, start = [], 0
        for feed in feeds:
            stop = start + len(next(iter(feed.values())))
            responses.append(self.response([result[start:stop] for result in results]))
            start = stop
        return responses

    def answer(self, request: Any) -> Any:
        """Runs one request alone."""
        try:
            return self.response(self.session.run(self.outputs, inputs_of(request)))
        except Exception as error:  # noqa: BLE001  Triton wants a response; raising would fail the whole batch
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))

    def response(self, results: Sequence["np.ndarray[Any, Any]"]) -> Any:
        """All outputs of the config; Triton drops those that the request did not ask for before it copies them."""
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(*named) for named in zip(self.outputs, results, strict=True)]
        )


class Fallbacks:
    """Counts, in Triton's metrics, the engines that were left alone when a model was loaded."""

    def __init__(self, model: str, version: str) -> None:
        self.model, self.version = model, version
        self.family = pb_utils.MetricFamily(
            name="shopfuse_engine_fallbacks_total",
            description="Loads of a model instance that could not use its engine, by reason.",
            kind=pb_utils.MetricFamily.COUNTER,
        )
        self.metrics: list[Any] = []  # a metric ends with its object

    def count(self, reason: str, message: str) -> None:
        pb_utils.Logger.log_warn(f"{self.model} version {self.version}: served without its engine: {message}")
        metric = self.family.Metric(labels={"model": self.model, "version": self.version, "reason": reason})
        metric.increment(1)
        self.metrics.append(metric)


def refuse_numpy_2(version: str) -> None:
    """Raises where Triton's Python backend would hand over empty tensors without a word."""
    if int(version.split(".")[0]) >= 2:
        raise pb_utils.TritonModelException(
            f"this Triton's Python backend needs numpy < 2 and would return empty tensors; it sees numpy {version} "
            f"in {Path(np.__file__).parent}"
        )


def refuse_gpu(config: dict[str, Any]) -> None:
    """Raises where a config was written for a GPU: answers from the CPU would pass for its speed."""
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    if accelerators.get("gpu_execution_accelerator") or "KIND_GPU" in {
        group.get("kind") for group in config.get("instance_group", [])
    }:
        raise pb_utils.TritonModelException(
            "this config asks for a GPU; here is a CPU only: build the release with --target cpu, "
            "or serve it with NVIDIA's Triton"
        )


def intra_op_threads(config: dict[str, Any]) -> int:
    """Threads inside one operator; one by default: with small models instances, not threads, fill the cores."""
    text = config.get("parameters", {}).get("intra_op_thread_count", {}).get("string_value", "1")
    if not text.isdecimal():
        raise pb_utils.TritonModelException(f"parameter intra_op_thread_count: expected a whole number, got {text!r}")
    return int(text)


def open_session(
    path: Path, threads: int, providers: Sequence[Any] = ("CPUExecutionProvider",)
) -> onnxruntime.InferenceSession:
    """A session for small models on few cores: sequential, and waiting threads sleep instead of spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors: its warnings are about graph optimisations, one per node
    try:
        return onnxruntime.InferenceSession(path, options, providers=list(providers))
    except Exception as error:  # onnxruntime has a dozen unrelated classes for "cannot open"
        raise pb_utils.TritonModelException(f"onnxruntime cannot open {path}: {error}") from error


def check_tensors(kind: str, declared: Sequence[dict[str, Any]], actual: Sequence[Any], path: Path) -> None:
    """Raises unless every tensor of config.pbtxt is in the graph with that type, and every graph input is declared."""
    types = {tensor.name: tensor.type for tensor in actual}
    for tensor in declared:
        expected = ONNX_TYPES[tensor["data_type"]]
        if types.get(tensor["name"]) != expected:
            raise pb_utils.TritonModelException(
                f"config.pbtxt declares {kind} '{tensor['name']}' as {expected}, but {path} has {types}"
            )
    undeclared = types.keys() - {tensor["name"] for tensor in declared}
    if kind == "input" and undeclared:
        raise pb_utils.TritonModelException(f"{path} needs inputs that config.pbtxt does not declare: {undeclared}")


def inputs_of(request: Any) -> Tensors:
    """The request's tensors by name; views of shared memory, not copies."""
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
