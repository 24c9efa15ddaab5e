"""Triton as the one process of a container: its own process answers, with all its models from the first moment on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from shopfuse.triton.command import choose_ports
from shopfuse.triton.guard import SHARED_MEMORY
from shopfuse.triton.startup_probe import NAME as MODEL
from shopfuse.triton.startup_probe import write_probe
from tests.tritons import is_ready
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(120)  # no claim about speed: it ends a test whose process hangs
COMMAND = (sys.executable, "-m", "shopfuse.triton")
BROKEN = "broken"


def in_container(temporary: Path, *arguments: str) -> list[str]:
    """The command with a folder of its own for what a container has for itself."""
    return ["env", f"TMPDIR={temporary}", *COMMAND, *arguments]


@contextmanager
def container(repository: Path, temporary: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running Triton and its gRPC address."""
    ports = choose_ports("127.0.0.1", (0, 0, 0))
    named = [f"--{name}-port={port}" for name, port in zip(("grpc", "http", "metrics"), ports, strict=True)]
    command = in_container(temporary, str(repository), *named, "--", "--grpc-max-connection-age=60000")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process, f"127.0.0.1:{ports[0]}"
        finally:
            process.kill()


def first_answer(process: subprocess.Popen[str], address: str) -> bool:
    """What the port says of the model in the first moment in which it is open."""
    while process.poll() is None:
        try:
            return is_ready(address, MODEL)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            time.sleep(0.02)
    raise AssertionError(f"Triton ended with {process.returncode}")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One good model and one that cannot be loaded."""
    models = tmp_path / "model_repository"
    write_probe(models)
    (models / BROKEN / "1").mkdir(parents=True)
    (models / BROKEN / "1" / "model.onnx").write_bytes(b"no ONNX")
    config = (models / MODEL / "config.pbtxt").read_text().replace(MODEL, BROKEN)
    (models / BROKEN / "config.pbtxt").write_text(config)
    return models


def test_the_port_opens_when_the_models_are_loaded_and_sigterm_ends_it(repository: Path, tmp_path: Path) -> None:
    with container(repository, tmp_path) as (process, address):
        assert first_answer(process, address)
        assert not is_ready(address, BROKEN)

        process.send_signal(signal.SIGTERM)

        assert process.wait(60) == 0


def test_a_killed_one_leaves_nothing_to_the_next(repository: Path, tmp_path: Path) -> None:
    regions = SHARED_MEMORY.glob
    with container(repository, tmp_path) as (process, address):
        assert first_answer(process, address)
        left = set(regions("shopfuse-container-*"))
        process.kill()
        process.wait()
    with container(repository, tmp_path) as (process, address):
        assert first_answer(process, address)

        assert left and not left & set(regions("shopfuse-container-*"))

        process.send_signal(signal.SIGTERM)
        process.wait(60)
    wait_until(lambda: not set(regions("shopfuse-container-*")))


def test_without_a_repository_it_says_what_to_mount(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    command = in_container(tmp_path, str(nowhere))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert done.stderr == f"error: model repository {nowhere} is not a folder: mount the workspace's there\n"


def test_a_temporary_folder_that_runs_nothing_is_named(repository: Path, tmp_path: Path) -> None:
    """A tmpfs of Docker is noexec unless told: Triton would come up, and load no model for ever."""
    own_mounts = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*own_mounts, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here, so no mount of a test's own")
    (temporary := tmp_path / "tmp").mkdir()
    script = f'mount -t tmpfs -o noexec tmpfs {temporary} && exec "$@"'
    command = [*own_mounts, "sh", "-c", script, "sh", *in_container(temporary, str(repository))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {temporary}/shopfuse-container is mounted noexec")
