"""The engine of TensorRT for RTX that may lie beside an ONNX file: opened where it fits, else the reason why not.

It runs in onnxruntime's plug-in execution provider, which the package onnxruntime-ep-nv-tensorrt-rtx-cu13 brings. What
does not fit is found before the provider sees the engine, for its libraries may end the process instead of failing.
"""

import ctypes
import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"
ENGINE, WRAPPER = "model.rtx.engine", "model.rtx.onnx"
KERNEL_CACHE = Path("/var/cache/shopfuse/tensorrt")  # a volume: without it kernels are compiled at every start
NUMPY_TYPES = {"tensor(float)": "f4", "tensor(float16)": "f2", "tensor(int64)": "i8", "tensor(uint8)": "u1"}
CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
Tensors = Mapping[str, "np.ndarray[Any, Any]"]


class EngineUnfit(Exception):
    """The ONNX file must serve; `reason` is one word for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class EngineSession:
    """Answers as an InferenceSession does, each batch with the profile whose shapes hold it."""

    def __init__(self, session: Any, profiles: Sequence[Mapping[str, Any]]) -> None:
        self.session, self.profiles = session, profiles

    def get_inputs(self) -> Any:
        return self.session.get_inputs()

    def get_outputs(self) -> Any:
        return self.session.get_outputs()

    def run(self, outputs: Sequence[str], inputs: Tensors) -> Any:
        """Raises ValueError for shapes that no profile holds."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("nv_profile_index", str(profile_of(self.profiles, inputs)))
        return self.session.run(outputs, inputs, options)


def open_engine(record_file: Path) -> EngineSession:
    """Opens the engine that this record is of, and runs it once with each profile. Raises EngineUnfit."""
    record = read_record(record_file)
    check_whole(record_file.with_name(ENGINE), record)
    plugin = check_plugin(record)
    check_gpu(record)
    try:
        session = EngineSession(plugin_session(plugin, record_file.with_name(WRAPPER)), record["profiles"])
        for profile in record["profiles"]:
            session.run([tensor.name for tensor in session.get_outputs()], sample(session, profile))
    except EngineUnfit:
        raise
    except Exception as error:  # the provider's, onnxruntime's and CUDA's: no memory, most likely
        raise EngineUnfit("refused", f"the engine does not run: {error}") from error
    return session


def read_record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EngineUnfit("missing", "the release holds no engine of this model") from None
    except (OSError, ValueError) as error:
        raise EngineUnfit("damaged", f"{path}: {error}") from error
    if needed := {"tensorrt", "architectures", "profiles", "engine_sha256"} - record.keys():
        raise EngineUnfit("damaged", f"{path} lacks {', '.join(sorted(needed))}")
    return record


def check_whole(engine: Path, record: Mapping[str, Any]) -> None:
    try:
        with engine.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EngineUnfit("damaged", f"{engine}: {error}") from error
    if digest != record["engine_sha256"]:
        raise EngineUnfit("damaged", f"{engine} is not the file that was recorded: cut short or changed")


def check_plugin(record: Mapping[str, Any]) -> Any:
    """The provider's package, of the TensorRT that built the engine: of another one, it would not open."""
    try:
        plugin = importlib.import_module(PLUGIN)
        library = Path(plugin.get_library_path())
    except (ImportError, OSError) as error:
        raise EngineUnfit("plugin", f"TensorRT's execution provider is not installed: {error}") from error
    wanted = ".".join(record["tensorrt"].split(".")[:3])
    found = sorted(path.name.split(".so.")[1] for path in library.parent.glob("libtensorrt_rtx.so.*.*"))
    if wanted not in found:
        raise EngineUnfit("version", f"the engine is of TensorRT {wanted}, the execution provider has {found}")
    return plugin


def check_gpu(record: Mapping[str, Any]) -> None:
    architecture = gpu_architecture()
    if architecture not in record["architectures"]:
        raise EngineUnfit("architecture", f"the engine is for {record['architectures']}, this GPU is {architecture}")


def gpu_architecture() -> str:
    """Such as "sm89", of the first GPU, by the driver itself: onnxruntime does not tell."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise EngineUnfit("gpu", f"no GPU here: {error}") from error
    device, value, numbers = ctypes.c_int(), ctypes.c_int(), []
    codes = [driver.cuInit(0), driver.cuDeviceGet(ctypes.byref(device), 0)]
    for attribute in CAPABILITY:
        codes.append(driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device))
        numbers.append(str(value.value))
    if any(codes):
        raise EngineUnfit("gpu", f"no GPU can be used here: CUDA's driver answers {codes}")
    return f"sm{''.join(numbers)}"


def plugin_session(plugin: Any, model: Path) -> Any:
    name = plugin.get_ep_name()
    if not any(device.ep_name == name for device in onnxruntime.get_ep_devices()):
        onnxruntime.register_execution_provider_library(name, plugin.get_library_path())
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
    if not devices:
        raise EngineUnfit("gpu", "the execution provider finds no GPU that it runs on")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    cache = {"nv_runtime_cache_path": str(KERNEL_CACHE)} if KERNEL_CACHE.is_dir() else {}
    options.add_provider_for_devices(devices[:1], {"nv_multi_profile_enable": "1", **cache})
    return onnxruntime.InferenceSession(model, options)


def profile_of(profiles: Sequence[Mapping[str, Any]], inputs: Tensors) -> int:
    for number, profile in enumerate(profiles):
        if all(holds(profile[name], value.shape) for name, value in inputs.items()):
            return number
    shapes = {name: value.shape for name, value in inputs.items()}
    raise ValueError(f"no profile of the engine holds {shapes}")


def holds(shapes: Sequence[Sequence[int]], shape: Sequence[int]) -> bool:
    least, _, most = shapes
    return len(shape) == len(least) and all(a <= size <= b for a, size, b in zip(least, shape, most, strict=True))


def sample(session: EngineSession, profile: Mapping[str, Any]) -> dict[str, "np.ndarray[Any, Any]"]:
    """Ones of the shape that the profile is tuned to: no id is unknown then, and no mask empty."""
    return {tensor.name: np.ones(profile[tensor.name][1], NUMPY_TYPES[tensor.type]) for tensor in session.get_inputs()}
