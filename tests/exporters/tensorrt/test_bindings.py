"""The plan builder calls nothing that NVIDIA's Python bindings do not have.

The bindings are real (wheels of the dev extra), the libraries behind them are not: the TensorRT module is opened in a
process of its own against empty libraries, and tells its classes' members and signatures. Objects with that surface,
which check every call and every argument against it, then stand in for TensorRT while the builder runs. What the calls
would compute is not tested here: that needs a GPU.
"""

from __future__ import annotations

import ctypes
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NotRequired, TypedDict

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.ranking.tensors import Tensor, submodels
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.tensorrt.gpu import local_gpu
from shopfuse_exporters.tensorrt.network import TYPE_NAMES, check_version, serialized_engine
from shopfuse_exporters.tensorrt.plan_session import PlanModel

DECLARED = submodels(384)
# Functions of the libraries that the bindings' module refers to; none is called when it is only looked at.
LIBRARY_FUNCTIONS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
LIBRARIES = ("libnvinfer.so.11", "libnvinfer_plugin.so.11", "libnvonnxparser.so.11")
LOOK = """
import inspect, json, os, sys
sys.setdlopenflags(os.RTLD_LAZY)
import tensorrt_bindings as trt

def member(value):
    if isinstance(value, property):
        return {"kind": "property", "doc": (value.fget.__doc__ or "").strip(), "settable": value.fset is not None}
    return {"kind": "method", "doc": value.__doc__ or ""} if callable(value) else {"kind": "value"}

def described(cls):
    named = {name: inspect.getattr_static(cls, name) for name in dir(cls)}
    return {
        "bases": [base.__name__ for base in cls.__mro__[1:]],
        "members": {name: member(value) for name, value in named.items() if name == "__init__" or name[:2] != "__"},
        "enum": {name: int(value) for name, value in getattr(cls, "__members__", {}).items()},
    }

classes = {name: value for name, value in vars(trt).items() if inspect.isclass(value)}
classes |= {"Severity": trt.ILogger.Severity}
print(json.dumps({"version": trt.__version__, "classes": {name: described(value) for name, value in classes.items()}}))
"""


class Member(TypedDict):
    kind: str  # property, method or value
    doc: NotRequired[str]


class Described(TypedDict):
    """A class of the bindings."""

    bases: list[str]
    members: dict[str, Member]
    enum: dict[str, int]


class Bindings(TypedDict):
    version: str
    classes: dict[str, Described]


@dataclass
class Surface:
    """The classes of the bindings, what a call gives instead of the default of its type, and the calls so far."""

    version: str
    classes: dict[str, Described]
    answers: dict[str, object] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def member(self, owner: str, name: str) -> Member:
        known = self.classes[owner]["members"]
        if name not in known:
            raise AttributeError(f"TensorRT's {owner} has no '{name}'")
        return known[name]

    def call(self, owner: str, name: str, *arguments: object, **named: object) -> object:
        self.calls.append(f"{owner}.{name}")
        signatures = signatures_of(name, self.member(owner, name)["doc"])
        failures = []
        for signature in signatures:
            try:
                self._check_types(signature.bind(*arguments, **named))
            except TypeError as error:
                failures.append(f"{signature}: {error}")
            else:
                return self.answer(f"{owner}.{name}", str(signature.return_annotation), *arguments, **named)
        raise TypeError(f"{owner}.{name} takes no such arguments; {'; '.join(failures)}")

    def answer(self, key: str, annotation: str, *arguments: object, **named: object) -> object:
        if key in self.answers:
            known = self.answers[key]
            return known(*arguments, **named) if callable(known) else known
        kind = annotation.split(".")[-1]
        if "::" in kind:  # a C++ name, as of a class that was bound after the function
            kind = kind.split("::")[-1].removeprefix("I")
        if kind in self.classes:
            return bytearray(b"bytes") if kind == "IHostMemory" else Stand(self, kind)
        return {"bool": True, "int": 0, "str": "", "None": None}[annotation]

    def _check_types(self, bound: inspect.BoundArguments) -> None:
        for name, value in bound.arguments.items():
            kind = str(bound.signature.parameters[name].annotation).split(".")[-1]
            if isinstance(value, Stand) and value.kind != kind and kind not in self.classes[value.kind]["bases"]:
                raise TypeError(f"{name} must be {kind}, not {value.kind}")
            if kind == "str" and not isinstance(value, str):
                raise TypeError(f"{name} must be str, not {type(value).__name__}")


class Stand:
    """An object of one of TensorRT's classes: it has their members and no others."""

    def __init__(self, surface: Surface, kind: str) -> None:
        self.surface, self.kind = surface, kind

    def __getattr__(self, name: str) -> Any:
        described = self.surface.member(self.kind, name)
        if described["kind"] == "property":
            return self.surface.answer(f"{self.kind}.{name}", described["doc"].split("->")[-1].strip())
        return lambda *arguments, **named: self.surface.call(self.kind, name, *arguments, **named)


class Module:
    """What `import tensorrt` gives: classes to call, enumerations, a logger to inherit from."""

    def __init__(self, surface: Surface) -> None:
        self.surface, self.__version__ = surface, surface.version
        severity = Enumeration(surface, "Severity")

        class ILogger(Stand):
            Severity = severity

            def __init__(self) -> None:
                super().__init__(surface, "ILogger")

        self.ILogger = ILogger

    def __getattr__(self, name: str) -> Any:
        if name not in self.surface.classes:
            raise AttributeError(f"TensorRT has no '{name}'")
        if self.surface.classes[name]["enum"]:
            return Enumeration(self.surface, name)
        return lambda *arguments, **named: self._made(name, *arguments, **named)

    def _made(self, name: str, *arguments: object, **named: object) -> Stand:
        self.surface.call(name, "__init__", *arguments, **named)
        return Stand(self.surface, name)


class Enumeration:
    def __init__(self, surface: Surface, name: str) -> None:
        self._members, self._name = surface.classes[name]["enum"], name

    def __getattr__(self, name: str) -> int:
        if name not in self._members:
            raise AttributeError(f"TensorRT's {self._name} has no '{name}'")
        return int(self._members[name])


def signatures_of(name: str, doc: str) -> list[inspect.Signature]:
    """Of every overload, without self, from the lines with which pybind11 begins a docstring."""
    lines = re.findall(rf"^(?:\d+\. )?{name}\(self: [^,)]+(?:, (.*))?\) -> (.+)$", doc, re.MULTILINE)
    return [inspect.Signature(parameters(arguments), return_annotation=returned) for arguments, returned in lines]


def parameters(text: str) -> list[inspect.Parameter]:
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([<") - (letter in ")]>")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [parameter(part.strip()) for part in parts if part.strip()]


def parameter(text: str) -> inspect.Parameter:
    name, _, rest = text.partition(": ")
    annotation, equals, default = rest.partition(" = ")
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, annotation=annotation, default=default if equals else inspect.Parameter.empty)


@pytest.fixture(scope="module")
def bindings(tmp_path_factory: pytest.TempPathFactory) -> Bindings:
    compiler = shutil.which("cc")
    if compiler is None or find_spec("tensorrt_bindings") is None:
        pytest.skip("the builder's calls are unchecked: needs cc and the wheel tensorrt_cu13_bindings of extra dev")
    folder = tmp_path_factory.mktemp("libraries")
    source = folder / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in LIBRARY_FUNCTIONS))
    for library in LIBRARIES:
        subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / library, source], check=True)
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder)}
    run = subprocess.run([sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True)
    described: Bindings = json.loads(run.stdout)
    return described


@pytest.fixture
def surface(bindings: Bindings) -> Surface:
    return Surface(bindings["version"], bindings["classes"])


@pytest.fixture
def onnx_inputs(surface: Surface) -> Surface:
    """As if TensorRT had read the fusion ranker: a network with its tensors, profiles counted from 0."""
    inputs, outputs = DECLARED["fusion_ranker"].inputs, DECLARED["fusion_ranker"].outputs
    surface.answers["INetworkDefinition.num_inputs"] = len(inputs)
    surface.answers["INetworkDefinition.num_outputs"] = len(outputs)

    class Found:
        def __init__(self, tensor: Tensor) -> None:
            self.name, self.dtype = tensor.name, SimpleNamespace(name=TYPE_NAMES[tensor.dtype])
            self.shape = (-1, *(-1 if isinstance(dim, str) else dim for dim in tensor.dims))

    surface.answers["INetworkDefinition.get_input"] = lambda index: Found(inputs[index])
    surface.answers["INetworkDefinition.get_output"] = lambda index: Found(outputs[index])
    numbers = iter(range(100))
    surface.answers["IBuilderConfig.add_optimization_profile"] = lambda profile: next(numbers)
    return surface


def built(surface: Surface, cache: Path) -> bytes:
    return serialized_engine(Module(surface), Path("model.onnx"), DECLARED["fusion_ranker"], timing_cache=cache)


def test_a_plan_is_built_with_calls_that_the_bindings_have(onnx_inputs: Surface, tmp_path: Path) -> None:
    check_version(Module(onnx_inputs))

    assert built(onnx_inputs, tmp_path / "timing.cache") == b"bytes"
    assert (tmp_path / "timing.cache").read_bytes() == b"bytes"
    called = set(onnx_inputs.calls)
    assert {"Builder.build_serialized_network", "OnnxParser.parse_from_file", "IBuilderConfig.clear_flag"} <= called
    buckets = len(DECLARED["fusion_ranker"].buckets["candidates"])
    assert onnx_inputs.calls.count("IBuilderConfig.add_optimization_profile") == buckets
    inputs = len(DECLARED["fusion_ranker"].inputs)
    assert onnx_inputs.calls.count("IOptimizationProfile.set_shape") == buckets * inputs


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda trt: trt.Builder(trt.ILogger()).build_engine(), "Builder has no 'build_engine'"),
        (lambda trt: trt.Builder(trt.ILogger()).create_network(precision=1), "precision"),
        (lambda trt: trt.Builder(trt.ILogger()).create_builder_config().set_timing_cache(), "missing"),
        (lambda trt: trt.BuilderFlag.FP16, "BuilderFlag has no 'FP16'"),  # weakly typed networks ended with TensorRT 10
        (lambda trt: trt.OnnxParser(trt.ILogger(), trt.ILogger()), "network must be INetworkDefinition"),
        (lambda trt: trt.Runtime(trt.ILogger()).deserialize_engine(b""), "Runtime has no"),
    ],
)
def test_a_call_that_the_bindings_do_not_have_fails(
    surface: Surface, wrong: Callable[[Module], object], message: str
) -> None:
    with pytest.raises((AttributeError, TypeError), match=message):
        wrong(Module(surface))


def test_errors_of_the_parser_name_operator_and_node(onnx_inputs: Surface, tmp_path: Path) -> None:
    onnx_inputs.answers |= {
        "OnnxParser.parse_from_file": False,
        "OnnxParser.num_errors": 2,
        "ParserError.node_operator": "NonZero",
        "ParserError.node_name": "node_7",
        "ParserError.desc": "unsupported",
    }

    with pytest.raises(ExportError, match=r"fusion_ranker.*NonZero \(node 'node_7'\): unsupported; NonZero"):
        built(onnx_inputs, tmp_path / "cache")


def test_a_plan_that_is_not_built_leaves_no_timing_cache(onnx_inputs: Surface, tmp_path: Path) -> None:
    onnx_inputs.answers["Builder.build_serialized_network"] = None

    with pytest.raises(ExportError, match="built no engine"):
        built(onnx_inputs, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_timing_cache_of_another_gpu_is_replaced(onnx_inputs: Surface, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"of another GPU")
    taken: list[bytes] = []

    def create(serialized_timing_cache: bytes) -> Stand:
        taken.append(serialized_timing_cache)
        return Stand(onnx_inputs, "ITimingCache")

    onnx_inputs.answers["IBuilderConfig.create_timing_cache"] = create
    onnx_inputs.answers["IBuilderConfig.set_timing_cache"] = lambda cache, ignore_mismatch: len(taken) > 1

    built(onnx_inputs, tmp_path / "cache")

    assert taken == [b"of another GPU", b""]


def test_a_refused_profile_and_another_version_are_errors(onnx_inputs: Surface, tmp_path: Path) -> None:
    onnx_inputs.answers["IBuilderConfig.add_optimization_profile"] = -1
    with pytest.raises(ExportError, match="refuses profile 0"):
        built(onnx_inputs, tmp_path / "cache")

    onnx_inputs.version = "10.9.0.34"
    with pytest.raises(ExportError, match=r"expected TensorRT 11\.3, found 10\.9"):
        check_version(Module(onnx_inputs))


class Cuda:
    """cuda.bindings.runtime with memory of this machine in the place of a GPU's; signatures are compared below."""

    class cudaMemcpyKind:  # noqa: N801  its name
        cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost = 1, 2  # noqa: N815

    def __init__(self) -> None:
        self.held: dict[int, NDArray[np.uint8]] = {}
        self.code = 0

    def cudaMalloc(self, size: int) -> tuple[int, int]:  # noqa: N802
        room = np.zeros(size, np.uint8)
        self.held[room.ctypes.data] = room
        return self.code, room.ctypes.data

    def cudaFree(self, devPtr: int) -> tuple[int]:  # noqa: N802, N803
        del self.held[devPtr]
        return (0,)

    def cudaMemcpy(self, dst: int, src: int, count: int, kind: int) -> tuple[int]:  # noqa: N802
        ctypes.memmove(dst, src, count)
        return (0,)

    def cudaStreamCreate(self) -> tuple[int, int]:  # noqa: N802
        return 0, 7

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:  # noqa: N802
        return (0,)

    def cudaStreamDestroy(self, stream: int) -> tuple[int]:  # noqa: N802
        return (0,)


@pytest.mark.parametrize(
    "name", ["cudaMalloc", "cudaFree", "cudaMemcpy", "cudaStreamCreate", "cudaStreamSynchronize", "cudaStreamDestroy"]
)
def test_cuda_calls_are_those_of_the_bindings(name: str) -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="needs the wheel cuda-bindings (extra dev)")
    real = getattr(runtime, name).__doc__.splitlines()[0]  # such as cudaMemcpy(dst, src, size_t count, kind: ...)

    names = [part.split(":")[0].split()[-1] for part in real[len(name) + 1 : -1].split(",") if part.strip()]
    assert list(inspect.signature(getattr(Cuda(), name)).parameters) == names
    kinds = set(runtime.cudaMemcpyKind.__members__)
    assert {"cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"} <= kinds


def test_without_a_gpu_the_toolkit_says_so() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="needs the wheel cuda-bindings (extra dev)")
    if int(runtime.cudaGetDeviceCount()[0]) == 0:
        gpu = local_gpu(runtime)
        assert re.fullmatch(r"\d+\.\d+", gpu.capability)
        return

    with pytest.raises(ExportError, match="no GPU can be used: cudaError"):
        local_gpu(runtime)


def test_a_plan_is_run_with_calls_that_the_bindings_have(surface: Surface) -> None:
    declaration, batch = DECLARED["text_encoder"], 3
    surface.answers["IExecutionContext.get_tensor_shape"] = (batch, 384)
    profiles: list[int] = []

    def select(profile_index: int, stream_handle: int) -> bool:
        profiles.append(profile_index)
        return True

    surface.answers["IExecutionContext.set_optimization_profile_async"] = select
    cuda = Cuda()
    plan = PlanModel(Module(surface), cuda, declaration, b"plan")

    for length in (1, 16, 17, 128):
        ids = np.ones((batch, length), np.int64)
        answer = plan.run({"input_ids": ids, "attention_mask": ids})
        assert answer["text_embedding"].shape == (batch, 384)

    assert profiles == [0, 0, 1, 3]
    assert not cuda.held  # nothing leaks
    assert "IExecutionContext.execute_async_v3" in surface.calls


def test_a_plan_that_does_not_run_or_open_is_an_error(surface: Surface) -> None:
    declaration = DECLARED["query_tower"]
    surface.answers |= {"IExecutionContext.get_tensor_shape": (1, 128), "IExecutionContext.execute_async_v3": False}
    cuda = Cuda()
    with pytest.raises(ExportError, match="query_tower: the plan cannot run"):
        PlanModel(Module(surface), cuda, declaration, b"plan").run({"text_embedding": np.zeros((1, 384), np.float32)})
    assert not cuda.held

    surface.answers["Runtime.deserialize_cuda_engine"] = None
    with pytest.raises(ExportError, match="query_tower: TensorRT cannot open the plan"):
        PlanModel(Module(surface), Cuda(), declaration, b"plan")
