"""Everything that an operator can set on a gateway, checked once at start. Nothing else reads the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
)
NOT_NEGATIVE = ("reserve_s", "query_cache", "drain_s", "grace_s", "breaker_retry_s", "breaker_failures")


class SettingsError(ShopfuseError):
    """A setting with a value that cannot work; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    workspace: Path  # the shop: its releases, store and impressions
    triton: str  # host:port of Triton's gRPC
    release_id: str = ""  # answers with this release for ever; "" follows releases/channels.json
    public_key: str = ""  # file of the key that releases are signed with; "" is keys/release.pub of the workspace
    follow_s: float = 0.5  # between two looks at releases/channels.json
    host: str = "127.0.0.1"
    grpc_port: int = 0  # 0 takes a free port
    metrics_port: int = 0
    workers: int = 1  # processes that share the gRPC port; worker n serves its metrics on metrics_port + n
    deadline_s: float = 1.0  # the most that a request may take; a shorter deadline of the client wins
    classify_deadline_s: float = 2.0  # the same for ClassifyText, whose texts are many and long
    reserve_s: float = 0.05  # kept back from every await, to build and send the answer; at most a fifth of the deadline
    pool: int = POOL  # candidates that reach the ranker
    per_channel: int = PER_CHANNEL  # candidates that one recall channel may bring
    recall_threads: int = 4
    image_threads: int = 2  # decode the images of searches; each may hold 100 MB for a moment
    max_in_flight: int = 64  # requests at once in a process, most of them waiting for Triton; more are refused
    max_lag_s: float = 0.05  # how far the event loop may be behind before new requests are refused
    query_cache: int = 10_000  # embedded queries kept in memory
    breaker_failures: int = 5  # failures in a row that open a model's circuit
    breaker_retry_s: float = 0.5  # how long an open circuit waits before it lets one request try
    drain_s: float = 1.0  # between NOT_SERVING and refusing new calls, for balancers to notice
    grace_s: float = 5.0  # for running calls to end
    log_impressions: bool = True

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
        if self.pool > COUNT_BUCKETS[-1]:
            raise SettingsError(f"pool: expected at most {COUNT_BUCKETS[-1]}, got {self.pool}")
        if ":" not in self.triton:
            raise SettingsError(f"triton: expected HOST:PORT, got {self.triton!r}")
        if not self.workspace.is_dir():
            raise SettingsError(f"workspace: {self.workspace} is not a folder")

    @property
    def paths(self) -> WorkspacePaths:
        return WorkspacePaths(self.workspace)

    @property
    def public_key_file(self) -> Path:
        return Path(self.public_key) if self.public_key else self.paths.public_key
