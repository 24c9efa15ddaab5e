"""Loads, unloads and lists the models of a Triton, local or remote, through its gRPC model-repository calls.

Triton must run with explicit model control. It does not touch the repository's files and infers nothing.
"""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from shopfuse.core.progress import Progress, silent
from shopfuse.triton.errors import ModelControlError

RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
]
GONE = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE)
ANSWER_TIMEOUT_S = 5.0  # for questions; loading and unloading get the time that the caller gave
LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True, order=True)
class ModelIndexEntry:
    """One version of one model in Triton's index."""

    name: str
    version: str
    state: str
    reason: str

    @property
    def ready(self) -> bool:
        """Whether it answers inferences now."""
        return self.state == "READY"


class ModelControl:
    """A connection to one Triton's control calls; safe to share between threads. `stub` is for other calls on it."""

    def __init__(self, address: str, timeout_s: float = 120.0) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self.channel = grpc.insecure_channel(address, RECONNECT)
        self.stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; the models stay as they are."""
        self.channel.close()

    def is_live(self, timeout_s: float) -> bool:
        """Whether the server answers within this time; waits for it to come up."""
        try:
            return bool(
                self.stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=timeout_s, wait_for_ready=True).live
            )
        except grpc.RpcError:
            return False

    def load(self, *names: str, progress: Progress = silent) -> None:
        """Loads models, or their new and changed versions, side by side; returns when all are ready.

        Versions that were loaded and whose files did not change keep serving. An ensemble loads its steps' models too.
        Raises ModelControlError with Triton's reason for the first model that cannot be loaded.
        """
        request = service_pb2.RepositoryModelLoadRequest
        calls = [
            (name, self.stub.RepositoryModelLoad.future(request(model_name=name), timeout=self.timeout_s))
            for name in names
        ]
        progress("load models", 0, len(calls))
        for done, (name, call) in enumerate(calls, start=1):
            try:
                call.result()
            except grpc.RpcError as error:
                raise ModelControlError(f"Triton at {self.address} cannot load '{name}': {reason_of(error)}") from error
            progress("load models", done, len(calls))

    def unload(self, name: str) -> None:
        """Unloads all versions of a model and returns when they are gone; the models that it uses stay loaded."""
        try:
            self.stub.RepositoryModelUnload(
                service_pb2.RepositoryModelUnloadRequest(model_name=name), timeout=self.timeout_s
            )
        except grpc.RpcError as error:
            raise ModelControlError(f"Triton at {self.address} cannot unload '{name}': {reason_of(error)}") from error
        give_up = time.monotonic() + self.timeout_s
        while any(entry.state in ("READY", "UNLOADING") for entry in self.index() if entry.name == name):
            if time.monotonic() > give_up:
                raise ModelControlError(
                    f"Triton at {self.address} still holds '{name}' {self.timeout_s:.0f} s after unload"
                )
            time.sleep(LOOK_EVERY_S)

    def index(self) -> tuple[ModelIndexEntry, ...]:
        """Every model in the repository with its state; a model never loaded has neither version nor state."""
        try:
            answer = self.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=ANSWER_TIMEOUT_S)
        except grpc.RpcError as error:
            raise ModelControlError(f"Triton at {self.address} does not list its models: {reason_of(error)}") from error
        return tuple(
            sorted(ModelIndexEntry(entry.name, entry.version, entry.state, entry.reason) for entry in answer.models)
        )

    def ready_models(self) -> tuple[ModelIndexEntry, ...]:
        """The versions that answer inferences now."""
        return tuple(entry for entry in self.index() if entry.ready)


def reason_of(error: grpc.RpcError) -> str:
    """The server's text in one line, without gRPC's wrapping and a Python backend's traceback (the log has it)."""
    text = (error.details() or "no reason given").partition("\n\nAt:\n")[0]
    return f"{' '.join(text.split())} ({error.code().name})"
