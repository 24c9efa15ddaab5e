"""Everything that an operator can set on a gateway, checked once at start. Nothing else reads the environment, but for
OpenTelemetry's SDK: its own variables, OTEL_*, say where traces go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from shopfuse.core.addresses import LOOPBACK, listening
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.ranking.tensors import COUNT_BUCKETS
from shopfuse.recall.channels import PER_CHANNEL, POOL

POSITIVE = (
    "deadline_s",
    "classify_deadline_s",
    "pool",
    "per_channel",
    "recall_threads",
    "image_threads",
    "max_in_flight",
    "max_lag_s",
    "workers",
    "follow_s",
    "slow_s",
)
LEAST_KEY_BYTES = 32
NOT_NEGATIVE = (
    "triton_within_s",
    "reserve_s",
    "query_cache",
    "drain_s",
    "grace_s",
    "breaker_retry_s",
    "breaker_failures",
)


LOG_FORMATS = ("auto", "json", "text")
COLLECTOR = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOL = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class SettingsError(ShopfuseError):
    """A setting with a value that cannot work; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Each with what `--help` says of it; numbers with a point are seconds."""

    workspace: Annotated[Path, "the shop: its releases, store and impressions"]
    triton: Annotated[str, "Triton's gRPC address, host:port"]
    release_id: Annotated[str, "answers with this release for ever, not with what releases/channels.json names"] = ""
    public_key: Annotated[
        str, "file of the key that signatures are checked with, not keys/release.pub of the workspace"
    ] = ""
    page_token_key: Annotated[
        str, "file of the key that signs page tokens, the same for all gateways of a shop; else one is made in state/"
    ] = ""
    follow_s: Annotated[float, "between two looks at releases/channels.json"] = 0.5
    triton_within_s: Annotated[
        float,
        "how long a gateway that starts is not ready while Triton does not serve its release; then it is, degraded",
    ] = 0.0
    host: Annotated[str, "address or name to listen on, for both ports; 0.0.0.0 or :: for all"] = LOOPBACK
    grpc_port: Annotated[int, "of the API; 0 takes a free one"] = 0
    metrics_port: Annotated[int, "for Prometheus, over HTTP; 0 takes a free one"] = 0
    workers: Annotated[int, "processes that share the gRPC port; worker n serves its metrics on metrics_port + n"] = 1
    deadline_s: Annotated[float, "the most that a request may take; a shorter deadline of the client wins"] = 1.0
    classify_deadline_s: Annotated[float, "the same for ClassifyText, whose texts are many and long"] = 2.0
    reserve_s: Annotated[
        float, "kept back from every await, to build and send the answer; at most a fifth of the deadline"
    ] = 0.05
    pool: Annotated[int, "candidates that reach the ranker"] = POOL
    per_channel: Annotated[int, "candidates that one recall channel may bring"] = PER_CHANNEL
    recall_threads: Annotated[int, "threads that look for candidates"] = 4
    image_threads: Annotated[int, "threads that decode the images of searches; each may hold 100 MB for a moment"] = 2
    max_in_flight: Annotated[
        int, "requests at once in a process, most of them waiting for Triton; more are refused"
    ] = 64
    max_lag_s: Annotated[float, "how far the event loop may be behind before new requests are refused"] = 0.05
    query_cache: Annotated[int, "embedded queries kept in memory"] = 10_000
    breaker_failures: Annotated[int, "failures in a row that open a model's circuit"] = 5
    breaker_retry_s: Annotated[float, "how long an open circuit waits before it lets one request try"] = 0.5
    drain_s: Annotated[float, "between NOT_SERVING and refusing new calls, for balancers to notice"] = 1.0
    grace_s: Annotated[float, "for running calls to end"] = 5.0
    log_format: Annotated[str, "json for machines, text for people, auto for text on a terminal and json elsewhere"] = (
        "auto"
    )
    slow_s: Annotated[float, "a request that takes longer is logged"] = 0.5
    log_impressions: Annotated[bool, "writes what was shown to impressions/ of the workspace"] = True

    def __post_init__(self) -> None:
        for name in POSITIVE:
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name}: expected more than 0, got {getattr(self, name)}")
        for name in NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise SettingsError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        for name in ("grpc_port", "metrics_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise SettingsError(f"{name}: expected 0 to 65535, got {getattr(self, name)}")
        if self.log_format not in LOG_FORMATS:
            raise SettingsError(f"log_format: expected one of {', '.join(LOG_FORMATS)}, got {self.log_format!r}")
        if self.pool > COUNT_BUCKETS[-1]:
            raise SettingsError(f"pool: expected at most {COUNT_BUCKETS[-1]}, got {self.pool}")
        listening(self.host, self.grpc_port)  # raises for a host that cannot be listened on
        if ":" not in self.triton:
            raise SettingsError(f"triton: expected HOST:PORT, got {self.triton!r}")
        if not self.workspace.is_dir():
            raise SettingsError(f"workspace: {self.workspace} is not a folder")
        if self.page_token_key:
            _check_page_token_key(Path(self.page_token_key))

    @property
    def paths(self) -> WorkspacePaths:
        return WorkspacePaths(self.workspace)

    @property
    def page_token_key_file(self) -> Path:
        return Path(self.page_token_key) if self.page_token_key else self.paths.page_token_key

    @property
    def public_key_file(self) -> Path:
        return Path(self.public_key) if self.public_key else self.paths.public_key


def has_collector(environment: Mapping[str, str]) -> bool:
    """Whether the environment says where traces go. Raises SettingsError for a way that this gateway does not know."""
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter not in ("otlp", "none"):
        raise SettingsError(f"OTEL_TRACES_EXPORTER: expected otlp or none, got {exporter!r}")
    protocol = next((environment[name] for name in PROTOCOL if environment.get(name)), "grpc")
    if protocol != "grpc":
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL: expected grpc (a collector's port 4317), got {protocol!r}")
    if exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return any(environment.get(name) for name in COLLECTOR)


def _check_page_token_key(path: Path) -> None:
    """A key that an operator gives is never made here: gateways with keys of their own refuse each other's pages."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SettingsError(f"page_token_key: {path} cannot be read ({error.strerror})") from error
    if size < LEAST_KEY_BYTES:
        raise SettingsError(f"page_token_key: {path}: expected at least {LEAST_KEY_BYTES} bytes, got {size}")
