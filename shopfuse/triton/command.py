"""Spells out tritonserver's command line from what a caller may want otherwise."""

import math
from dataclasses import dataclass
from pathlib import Path

from shopfuse.triton.installation import Installation


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
        # Our configurations are complete; completing them costs each load another Python process per model.
        "--disable-auto-complete-config",
        *(f"--{name}={value}" for name, value in flags.items()),
        *(f"--model-repository={repository}" for repository in repositories),
        *cache,
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        f"--backend-config=python,shm-default-byte-size={settings.shared_memory_bytes}",
    ]
