"""The life of a local server: start, load, versions, kill, restart, stop; and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from shopfuse.triton import installation
from shopfuse.triton import local_triton as triton_module
from shopfuse.triton.command import TritonSettings
from shopfuse.triton.errors import ModelControlError, TritonMissingError, TritonStartError
from shopfuse.triton.guard import SHARED_MEMORY
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_infer import answer_of, request_of
from tests.triton.tiny_models import (
    Tensor,
    add_doubling,
    add_scaling,
    connect,
    infer,
    processes_mentioning,
)
from tests.tritons import QUICK, is_ready
from tests.waiting import wait_until

ONE = np.ones((1, 1), np.float32)


def shared_memory_of(pid: int) -> set[Path]:
    """The regions and the lock that belong to one server, by the prefix in its command line."""
    prefix = next(part for part in psutil.Process(pid).cmdline() if "shm-region-prefix-name" in part).rpartition("=")[2]
    return set(SHARED_MEMORY.glob(f"{prefix}*"))


def test_ports_are_its_own_and_pid_is_the_server(triton: LocalTriton) -> None:
    assert len({triton.grpc_port, triton.http_port, triton.metrics_port}) == 3
    assert psutil.Process(triton.pid).name() == "tritonserver"
    assert triton.alive


def test_the_probe_is_not_among_the_ready_models(triton: LocalTriton, repository: Path) -> None:
    add_doubling(repository, "listed", Tensor("x"))

    triton.load("listed")

    names = [model.name for model in triton.ready_models()]
    assert "listed" in names
    assert not any("probe" in name for name in names)


def test_a_second_version_comes_up_beside_the_first(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path
) -> None:
    everything = "version_policy { all {} }"
    add_scaling(repository, "grows", 2.0, version=1, options=everything)
    triton.load("grows")
    first = processes_mentioning(str(repository / "grows" / "1"))
    add_scaling(repository, "grows", 3.0, version=2, options=everything)

    triton.load("grows")

    assert [infer(stub, "grows", version, x=ONE)["y"].item() for version in (1, 2)] == [2.0, 3.0]
    assert processes_mentioning(str(repository / "grows" / "1")) == first  # not reloaded


def test_a_bad_second_version_leaves_the_first_serving(
    triton: LocalTriton, stub: GRPCInferenceServiceStub, repository: Path
) -> None:
    add_scaling(repository, "stays", 2.0, version=1, options="version_policy { all {} }")
    triton.load("stays")
    (repository / "stays" / "2").mkdir()
    (repository / "stays" / "2" / "model.onnx").write_bytes(b"not a model")

    with pytest.raises(ModelControlError, match="cannot load 'stays'"):
        triton.load("stays")

    assert is_ready(triton.address, "stays", "1")
    assert not is_ready(triton.address, "stays", "2")
    assert infer(stub, "stays", 1, x=ONE)["y"].item() == 2.0


def test_an_unloaded_model_is_gone_when_unload_returns(triton: LocalTriton, repository: Path) -> None:
    add_doubling(repository, "leaves", Tensor("x"))
    triton.load("leaves")

    triton.unload("leaves")

    assert not is_ready(triton.address, "leaves")
    assert not processes_mentioning(str(repository / "leaves" / "1"))


def test_a_model_that_is_not_there_is_named(triton: LocalTriton) -> None:
    with pytest.raises(ModelControlError, match="cannot load 'nowhere'"):
        triton.load("nowhere")


def test_nothing_is_left_after_stop(own_triton: LocalTriton) -> None:
    add_doubling(own_triton.model_repository, "double", Tensor("x"))
    with own_triton as triton:
        triton.load("double")
        memory = shared_memory_of(triton.pid)
        assert len(memory) >= 2

    assert not processes_mentioning(str(own_triton.model_repository))
    assert not any(region.exists() for region in memory)
    with pytest.raises(ModelControlError, match="stopped"):
        own_triton.ready_models()


def test_killed_it_leaves_nothing_and_restarts_with_its_models_and_ports(own_triton: LocalTriton) -> None:
    add_doubling(own_triton.model_repository, "double", Tensor("x"))
    with own_triton as triton:
        triton.load("double")
        address, memory = triton.address, shared_memory_of(triton.pid)

        os.kill(triton.pid, signal.SIGKILL)

        wait_until(lambda: not triton.alive)
        assert not processes_mentioning(str(own_triton.model_repository))
        assert not any(region.exists() for region in memory)
        triton.restart()
        assert triton.address == address
        assert infer(connect(address), "double", x=ONE)["y"].item() == 2.0


def test_a_request_in_flight_is_answered_before_the_server_stops(own_triton: LocalTriton) -> None:
    own_triton.settings = replace(own_triton.settings, stop_timeout_s=8)
    waits = "dynamic_batching { preferred_batch_size: 16 max_queue_delay_microseconds: 700000 }"
    add_doubling(own_triton.model_repository, "double", Tensor("x"), options=waits)
    with own_triton as triton:
        triton.load("double")
        stub = connect(triton.address)
        call = stub.ModelInfer.future(request_of("double", "", {"x": ONE}), timeout=20)
        wait_until(lambda: pending_requests(triton) == 1)

    assert answer_of(call.result())["y"].item() == 2.0


def pending_requests(triton: LocalTriton) -> float:
    text = urllib.request.urlopen(f"http://{triton.settings.host}:{triton.metrics_port}/metrics", timeout=10).read()
    lines = [line for line in text.decode().splitlines() if line.startswith("nv_inference_pending_request_count{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


PARENT = """
import sys, time
from pathlib import Path
from shopfuse.triton.command import TritonSettings
from shopfuse.triton.local_triton import LocalTriton
folder = Path(sys.argv[1])
settings = TritonSettings(stop_timeout_s=0)
triton = LocalTriton(folder / "repository", folder / "triton.log", settings).start()
triton.load("double")
print(triton.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("victim", ["parent", "guard"])
def test_the_server_does_not_outlive_its_parent_or_its_guard(tmp_path: Path, victim: str) -> None:
    add_doubling(tmp_path / "repository", "double", Tensor("x"))
    environment = {**os.environ, "PYTHONPATH": str(Path(triton_module.__file__).parents[2])}
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        memory = shared_memory_of(server)
        guard = psutil.Process(server).ppid()

        os.kill(parent.pid if victim == "parent" else guard, signal.SIGKILL)

        wait_until(lambda: not processes_mentioning(str(tmp_path / "repository")))
        parent.kill()
    if victim == "guard":
        LocalTriton(tmp_path / "repository", tmp_path / "next.log", QUICK).start().stop()  # sweeps what is left
    wait_until(lambda: not any(region.exists() for region in memory))


def test_a_server_that_dies_while_starting_shows_the_end_of_its_log(
    own_triton: LocalTriton, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _replace_server(monkeypatch, tmp_path / "server", "echo no luck today; exit 3")

    with pytest.raises(TritonStartError, match=r"before it was live; the end of .*triton.log:\nno luck today"):
        own_triton.start()

    assert not own_triton.alive


def test_a_server_that_hangs_is_given_up_and_ended(
    own_triton: LocalTriton, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _replace_server(monkeypatch, tmp_path / "server", "exec sleep 600")
    own_triton.settings = replace(own_triton.settings, start_timeout_s=0.5)
    told: list[str] = []
    own_triton.progress = lambda stage, done, total: told.append(stage)

    with pytest.raises(TritonStartError, match="not live after"):
        own_triton.start()

    assert told[0] == "start Triton"
    assert not processes_mentioning(str(tmp_path / "server"))


def _replace_server(monkeypatch: pytest.MonkeyPatch, path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    fake = replace(installation.find_installation(), server=path)
    monkeypatch.setattr(triton_module, "find_installation", lambda: fake)


def test_a_numpy_that_triton_cannot_read_stops_the_start(
    own_triton: LocalTriton, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _fake_python(tmp_path, "import numpy; numpy.__version__ = '2.4.6'")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python3"))

    with pytest.raises(TritonStartError, match=r"needs numpy < 2 .* it sees numpy 2.4.6"):
        own_triton.start()


def _fake_python(folder: Path, line: str) -> None:
    """A virtual environment in which this one's packages are visible and a line of Python runs first."""
    real = Path(sys.base_prefix, "bin", "python3")
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(real)
    (folder / "pyvenv.cfg").write_text(f"home = {real.parent}\n")
    (packages / "fake.pth").write_text(f"{sysconfig.get_path('purelib')}\n{line}\n")


def test_a_wanted_port_that_is_taken_is_named(own_triton: LocalTriton) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        own_triton.settings = TritonSettings(grpc_port=port)

        with pytest.raises(TritonStartError, match=f"port {port} on 127.0.0.1 is in use"):
            own_triton.start()


def test_an_address_of_another_machine_is_refused(own_triton: LocalTriton) -> None:
    own_triton.settings = TritonSettings(host="192.0.2.1")

    with pytest.raises(TritonStartError, match=r"cannot listen on 192.0.2.1"):
        own_triton.start()


def test_a_repository_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TritonStartError, match=r"model repository .*/nowhere is not a folder"):
        LocalTriton(tmp_path / "nowhere", tmp_path / "triton.log").start()


def test_starting_twice_is_refused(triton: LocalTriton) -> None:
    with pytest.raises(TritonStartError, match=f"already running as process {triton.pid}"):
        triton.start()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(TritonMissingError, match=r"pip install 'shopfuse\[triton\]'"):
        installation.find_installation()


def test_a_python_without_a_part_of_triton_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "STUB", "no_such_stub")

    with pytest.raises(TritonMissingError, match=f"no part for Python {sys.version_info.major}"):
        installation.find_installation()
