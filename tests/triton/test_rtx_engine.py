"""An engine that does not fit leaves its model to the ONNX file, says why, and is counted; one that fits runs each
batch with the profile that holds it.

No GPU is needed: what only a GPU can tell is stood in for by an ordinary session.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from shopfuse.triton.backends.onnxruntime import rtx_engine
from shopfuse.triton.backends.onnxruntime.rtx_engine import EngineUnfit, open_engine
from shopfuse.triton.local_triton import LocalTriton
from tests.triton.tiny_models import Tensor, add_doubling, infer

WITH_ENGINE = (
    'instance_group { kind: KIND_MODEL } parameters { key: "engine" value { string_value: "model.rtx.json" } }'
)
PROFILES = [{"x": [[1, 1], [2, 4], [8, 4]]}, {"x": [[1, 5], [2, 9], [8, 9]]}]


def release_model(folder: Path, **changes: object) -> Path:
    """The files of a model with an engine beside its ONNX file; the path of the record."""
    repository = folder / "models"
    add_doubling(repository, "doubling", Tensor("x"))
    version = repository / "doubling" / "1"
    shutil.copy(version / "model.onnx", version / "model.rtx.onnx")
    return write_engine(version, **changes)


def write_engine(version: Path, **changes: object) -> Path:
    engine = b"an engine"
    (version / "model.rtx.engine").write_bytes(engine)
    record = {
        "tensorrt": "1.7.1.116",
        "architectures": ["sm86", "sm89"],
        "profiles": PROFILES,
        "engine_sha256": hashlib.sha256(engine).hexdigest(),
    }
    path = version / "model.rtx.json"
    path.write_text(json.dumps(record | changes))
    return path


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As if this were an L4 with the execution provider of TensorRT 1.7.1, which runs the ONNX file instead; gives the
    profiles that runs asked for."""
    provider = tmp_path / "provider"
    provider.mkdir()
    (provider / "libtensorrt_rtx.so.1.7.1").touch()
    plugin = SimpleNamespace(get_library_path=lambda: str(provider / "library.so"))
    asked: list[str] = []

    class Session:
        def __init__(self, model: Path) -> None:
            self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
            self.get_inputs, self.get_outputs = self.session.get_inputs, self.session.get_outputs

        def run(self, outputs: list[str], inputs: dict[str, Any], options: onnxruntime.RunOptions) -> Any:
            asked.append(options.get_run_config_entry("nv_profile_index"))
            return self.session.run(outputs, inputs, options)

    monkeypatch.setitem(sys.modules, rtx_engine.PLUGIN, plugin)
    monkeypatch.setattr(rtx_engine, "gpu_architecture", lambda: "sm89")
    monkeypatch.setattr(rtx_engine, "plugin_session", lambda plugin, model: Session(model))
    return asked


def test_an_engine_that_fits_is_run_with_every_profile_and_then_with_the_one_that_holds_the_batch(
    gpu: list[str], tmp_path: Path
) -> None:
    session = open_engine(release_model(tmp_path))
    assert gpu == ["0", "1"]

    for width, batch in ((1, 8), (4, 1), (5, 1), (9, 8)):
        numbers = np.ones((batch, width), np.float32)
        np.testing.assert_array_equal(session.run(["y"], {"x": numbers})[0], 2 * numbers)
    assert gpu[2:] == ["0", "0", "1", "1"]


@pytest.mark.parametrize("shape", [(1, 10), (9, 4), (1, 0), (4,)])
def test_a_shape_that_no_profile_holds_is_named(shape: tuple[int, ...], gpu: list[str], tmp_path: Path) -> None:
    session = open_engine(release_model(tmp_path))

    with pytest.raises(ValueError, match="no profile of the engine holds"):
        session.run(["y"], {"x": np.zeros(shape, np.float32)})


def broken_profiles() -> dict[str, object]:
    return {"profiles": [*PROFILES, {"z": [[1, 1], [1, 1], [1, 1]]}]}


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({"architectures": ["sm86", "sm120"]}, "architecture", "for .*sm86.*, this GPU is sm89"),
        ({"tensorrt": "1.8.0.1"}, "version", r"of TensorRT 1\.8\.0, the execution provider has \['1\.7\.1'\]"),
        ({"engine_sha256": "0" * 64}, "damaged", "cut short or changed"),
        (broken_profiles(), "refused", "does not run"),
    ],
)
def test_an_engine_that_does_not_fit_says_why(
    changes: dict[str, object], reason: str, message: str, gpu: list[str], tmp_path: Path
) -> None:
    with pytest.raises(EngineUnfit, match=message) as unfit:
        open_engine(release_model(tmp_path, **changes))
    assert unfit.value.reason == reason


def cut(record: Path) -> None:
    record.with_name("model.rtx.engine").write_bytes(b"an eng")


def without_engine(record: Path) -> None:
    record.with_name("model.rtx.engine").unlink()


def without_record(record: Path) -> None:
    record.unlink()


def half_a_record(record: Path) -> None:
    record.write_text(record.read_text()[:30])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(cut, "damaged"), (without_engine, "damaged"), (half_a_record, "damaged"), (without_record, "missing")],
)
def test_damaged_files_are_told_before_anything_is_opened(
    damage: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    record = release_model(tmp_path)
    damage(record)

    with pytest.raises(EngineUnfit) as unfit:
        open_engine(record)
    assert unfit.value.reason == reason


def test_a_gpu_without_memory_for_the_engine_leaves_it_alone(
    gpu: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(plugin: object, model: Path) -> None:
        raise RuntimeError("cudaErrorMemoryAllocation")

    monkeypatch.setattr(rtx_engine, "plugin_session", out_of_memory)

    with pytest.raises(EngineUnfit, match="does not run: cudaErrorMemoryAllocation") as unfit:
        open_engine(release_model(tmp_path))
    assert unfit.value.reason == "refused"


DRIVER = """
static int code = CODE;
int cuInit(unsigned flags) { return code; }
int cuDeviceGet(int *device, int ordinal) { *device = 0; return code; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 8 : 9; return code; }
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A driver that knows one GPU of compute capability 8.9, and answers every call with a code."""
    opened = ctypes.CDLL

    def made(code: int) -> None:
        library = tmp_path / f"libcuda{code}.so"
        source = DRIVER.replace("CODE", str(code)).encode()
        subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, check=True)
        monkeypatch.setattr(
            ctypes, "CDLL", lambda name: opened(str(library)) if name == "libcuda.so.1" else opened(name)
        )

    return made


def test_the_driver_tells_the_architecture(driver: Callable[[int], None]) -> None:
    driver(0)
    assert rtx_engine.gpu_architecture() == "sm89"

    driver(100)
    with pytest.raises(EngineUnfit, match="no GPU can be used here") as unfit:
        rtx_engine.gpu_architecture()
    assert unfit.value.reason == "gpu"


def fallbacks(triton: LocalTriton) -> list[str]:
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{triton.metrics_port}/metrics", timeout=10).read().decode()
    return [line for line in metrics.splitlines() if line.startswith("shopfuse_engine_fallbacks_total{")]


def test_triton_serves_the_onnx_file_where_the_engine_does_not_fit_and_counts_it(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path
) -> None:
    """The execution provider is installed here and has the version of the engines: what is missing is the GPU."""
    records = {}
    for name in ("engine_fits", "engine_cut", "engine_old", "engine_none"):
        add_doubling(repository, name, Tensor("x"), options=WITH_ENGINE)
        version = repository / name / "1"
        changes = {"tensorrt": "1.5.0.114"} if name == "engine_old" else {}
        records[name] = write_engine(version, **changes) if name != "engine_none" else version
    cut(records["engine_cut"])
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)

    for name in records:
        triton.load(name)
        np.testing.assert_array_equal(infer(stub, name, x=numbers)["y"], 2 * numbers)

    counted = fallbacks(triton)
    reasons = {"engine_fits": "gpu", "engine_cut": "damaged", "engine_old": "version", "engine_none": "missing"}
    for name, reason in reasons.items():
        [line] = [line for line in counted if f'model="{name}"' in line]
        assert f'reason="{reason}"' in line
        assert 'version="1"' in line
        assert line.endswith(" 1")
