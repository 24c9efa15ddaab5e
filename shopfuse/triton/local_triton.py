"""Runs a real Triton on this machine for demos, tests and single-machine shops.

`with LocalTriton(repository, log_file) as triton: triton.load("text_encoder")`. Production runs Triton's container
instead; the repository and the gRPC calls are the same. Nothing is left behind when the block ends or this process
dies, however it dies. It chooses no models and restarts nothing by itself.
"""

import secrets
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from shopfuse.core.progress import Progress, silent
from shopfuse.triton.command import TritonSettings, choose_ports, server_command
from shopfuse.triton.errors import ModelControlError, TritonStartError
from shopfuse.triton.guard import GuardedProcess, start_guarded
from shopfuse.triton.installation import assemble_backends, environment, find_installation
from shopfuse.triton.model_control import ModelControl, ModelIndexEntry
from shopfuse.triton.startup_probe import check_probe, write_probe

LOG_TAIL_LINES = 12
LOOK_EVERY_S = 0.25


class LocalTriton:
    """One tritonserver with explicit model control. Start and stop it from one thread at a time.

    While it starts, `progress` hears of the seconds that have passed. Ports that were left open are chosen at the first
    start and kept by restarts.
    """

    def __init__(
        self,
        model_repository: Path,
        log_file: Path,
        settings: TritonSettings | None = None,
        progress: Progress = silent,
    ) -> None:
        self.model_repository = model_repository.resolve()
        self.log_file = log_file.resolve()
        self.settings = settings or TritonSettings()
        self.progress = progress
        self._loaded: dict[str, None] = {}  # in the order of loading
        self._process: GuardedProcess | None = None
        self._control: ModelControl | None = None
        self._log_start = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def grpc_port(self) -> int:
        """Where inferences and control calls go."""
        return self.settings.grpc_port

    @property
    def http_port(self) -> int:
        """Triton's HTTP twin of the gRPC port."""
        return self.settings.http_port

    @property
    def metrics_port(self) -> int:
        """Prometheus text at /metrics."""
        return self.settings.metrics_port

    @property
    def address(self) -> str:
        """HOST:PORT for gRPC clients."""
        return f"{self.settings.host}:{self.grpc_port}"

    @property
    def pid(self) -> int:
        """The tritonserver's process id, also after it died; 0 while stopped."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.exit_code is None

    def start(self) -> Self:
        """Starts the server and returns when it is live and has computed a known answer; raises TritonStartError."""
        if self._process is not None:
            raise TritonStartError(f"Triton is already running as process {self.pid}")
        if not self.model_repository.is_dir():
            raise TritonStartError(f"model repository {self.model_repository} is not a folder")
        self._fix_ports()
        self._process = self._launch()
        self._control = ModelControl(self.address, self.settings.load_timeout_s)
        try:
            self._wait_until_live(self._control)
            self._compute_known_answer(self._control)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Lets requests in flight finish, then ends the server; returns when no process or shared memory is left."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.stop()
        self._control = self._process = None

    def restart(self) -> None:
        """Starts anew on the same ports, be it alive, stopped or killed, and loads the models that were loaded."""
        self.stop()
        self.start()
        self.load(*self._loaded)

    def load(self, *names: str) -> None:
        """Loads models, or their new versions, side by side; returns when they are ready. See ModelControl.load."""
        self._running().load(*names, progress=self.progress)
        self._loaded.update(dict.fromkeys(names))

    def unload(self, name: str) -> None:
        """Unloads all versions of a model and returns when they are gone."""
        self._running().unload(name)
        self._loaded.pop(name, None)

    def ready_models(self) -> tuple[ModelIndexEntry, ...]:
        """The versions that answer inferences now."""
        return self._running().ready_models()

    def _running(self) -> ModelControl:
        if self._control is None:
            raise ModelControlError("the local Triton is stopped: start it first")
        return self._control

    def _fix_ports(self) -> None:
        wanted = self.settings.grpc_port, self.settings.http_port, self.settings.metrics_port
        grpc_port, http_port, metrics_port = choose_ports(self.settings.host, wanted)
        self.settings = replace(self.settings, grpc_port=grpc_port, http_port=http_port, metrics_port=metrics_port)

    def _launch(self) -> GuardedProcess:
        installation = find_installation()
        run_directory = Path(tempfile.mkdtemp(prefix="shopfuse-triton-"))
        backends, probe = run_directory / "backends", run_directory / "probe"
        assemble_backends(installation, backends)
        write_probe(probe)
        prefix = f"shopfuse-{secrets.token_hex(6)}"
        command = server_command(self.settings, installation, (self.model_repository, probe), backends, prefix)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        return start_guarded(
            command, environment(installation), self.log_file, run_directory, prefix, self.settings.stop_timeout_s
        )

    def _wait_until_live(self, control: ModelControl) -> None:
        began = time.monotonic()
        while not control.is_live(LOOK_EVERY_S):
            waited_s = time.monotonic() - began
            if not self.alive:
                raise TritonStartError(f"Triton ended after {waited_s:.1f} s, before it was live; {self._log_tail()}")
            if waited_s > self.settings.start_timeout_s:
                raise TritonStartError(f"Triton is not live after {waited_s:.0f} s; {self._log_tail()}")
            self.progress("start Triton", int(waited_s), 0)

    def _compute_known_answer(self, control: ModelControl) -> None:
        try:
            check_probe(control.stub, self.settings.start_timeout_s)
        except TritonStartError as error:
            raise TritonStartError(f"{error}; {self._log_tail()}") from error

    def _log_tail(self) -> str:
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join([f"the end of {self.log_file}:", *lines[-LOG_TAIL_LINES:]])
