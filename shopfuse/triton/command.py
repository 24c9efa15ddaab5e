"""Spells out tritonserver's command line from what a caller may want otherwise, and chooses the ports it is told."""

import errno
import math
import random
import socket
from dataclasses import dataclass
from pathlib import Path

from shopfuse.triton.errors import TritonStartError
from shopfuse.triton.installation import Installation

# Below the kernel's range for outgoing connections (32768 and up), so that none takes it between look and use.
CHOICE = range(20_000, 32_000)
ATTEMPTS = 100
WHOLE_AT_START = ("--load-model=*", "--exit-on-error=false", "--strict-readiness=false")


@dataclass(frozen=True, slots=True)
class TritonSettings:
    """How a local Triton runs; a port of 0 means any free one."""

    host: str = "127.0.0.1"  # address that grpc, http and metrics listen on
    grpc_port: int = 0
    http_port: int = 0
    metrics_port: int = 0
    start_timeout_s: float = 60.0
    load_timeout_s: float = 120.0
    # For requests in flight to finish; then SIGKILL, which loses nothing. Triton itself would spend 1.2 s per instance
    # on unloading models that the guard removes at once.
    stop_timeout_s: float = 3.0
    response_cache_bytes: int = 0  # 0: none, and models that ask for a response cache do not load
    load_threads: int = 4  # models loaded at the same time
    shared_memory_bytes: int = 1 << 20  # of each model instance at its start; grows by itself, never shrinks
    log_verbose: int = 0
    whole_at_start: bool = False  # everything in the repository is loaded before a port opens
    traces: str = ""  # URL that spans go to by OTLP over HTTP, http://HOST:4318/v1/traces; "": none are made


def server_command(
    settings: TritonSettings, installation: Installation, repositories: tuple[Path, ...], backends: Path, prefix: str
) -> list[str]:
    """The command with all ports given; shared memory regions get names that begin with the prefix."""
    flags = {
        "model-control-mode": "explicit",
        "backend-directory": backends,
        "cache-directory": installation.caches,
        "http-address": settings.host,
        "grpc-address": settings.host,
        "metrics-address": settings.host,
        "http-port": settings.http_port,
        "grpc-port": settings.grpc_port,
        "metrics-port": settings.metrics_port,
        "allow-gpu-metrics": "false",
        "model-load-thread-count": settings.load_threads,
        "exit-timeout-secs": max(1, math.ceil(settings.stop_timeout_s)),
        "log-verbose": settings.log_verbose,
    }
    cache = [f"--cache-config=local,size={settings.response_cache_bytes}"] if settings.response_cache_bytes else []
    return [
        str(installation.server),
        *(f"--trace-config={setting}" for setting in _trace_settings(settings.traces)),
        # Our configurations are complete; completing them costs each load another Python process per model.
        "--disable-auto-complete-config",
        *(f"--{name}={value}" for name, value in flags.items()),
        *(f"--model-repository={repository}" for repository in repositories),
        *cache,
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        f"--backend-config=python,shm-default-byte-size={settings.shared_memory_bytes}",
        *(WHOLE_AT_START if settings.whole_at_start else ()),
    ]


def _trace_settings(url: str) -> list[str]:
    """Spans for the calls that bring a trace's context with them, and only for those: a rate of 0 leaves out others."""
    if not url:
        return []
    return ["mode=opentelemetry", "level=TIMESTAMPS", "rate=0"] + [
        f"opentelemetry,{setting}" for setting in (f"url={url}", "resource=service.name=triton")
    ]


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise TritonStartError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        return True


def choose_ports(host: str, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The wanted ports, with a free one in place of every 0; raises TritonStartError where a wanted one is taken."""
    for port in wanted:
        if port and not is_free(host, port):
            raise TritonStartError(f"port {port} on {host} is in use by another process: choose another, or 0 for any")
    candidates = (port for port in random.sample(CHOICE, ATTEMPTS) if port not in wanted and is_free(host, port))
    return tuple(port or next(candidates) for port in wanted)
