"""Everything that an operator can set on the edge: `edge.toml`, read once into frozen values.

What is unknown, of another type or out of its bounds is refused with its name. Paths are relative to the file's folder.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from shopfuse.core.errors import ShopfuseError

BY = ("claim", "certificate", "address")
_ADDRESS = re.compile(r"[\w.-]+:\d{1,5}")
_ORIGIN = re.compile(r"https?://[\w.-]+(:\d{1,5})?")


class EdgeSettingsError(ShopfuseError):
    """A setting with a value that cannot work; the message names it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the most that a number may be."""

    least: float
    most: float


Port = Annotated[int, Bounds(1, 65535)]
Seconds = Annotated[float, Bounds(0.01, 3600)]
Count = Annotated[int, Bounds(1, 1_000_000)]
Share = Annotated[float, Bounds(0, 100)]
Rate = Annotated[float, Bounds(0, 1_000_000)]


@dataclass(frozen=True, slots=True)
class Listener:
    """Where clients come in."""

    address: str = "0.0.0.0"
    port: Port = 8443
    max_connections: Count = 10_000  # of all clients; more are closed at once
    max_streams: Annotated[int, Bounds(1, 10_000)] = 100  # calls at once on one connection
    max_request_bytes: Annotated[int, Bounds(1024, 64 << 20)] = 3 << 20  # as the gateway's own limit
    max_request_s: Seconds = 5.0  # the longest deadline that a client may have, and that of one without
    max_connection_s: Annotated[float, Bounds(1, 86_400)] = 600.0  # then clients connect anew, to new Envoys too
    idle_s: Annotated[float, Bounds(1, 86_400)] = 300.0  # a connection without calls is closed
    max_resets: Annotated[int, Bounds(10, 100_000)] = 500  # calls given up within a second that close the connection
    access_log: str = "/dev/stdout"


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files, read anew whenever their folder changes. Without `certificate` the edge speaks plain HTTP."""

    certificate: str = ""
    key: str = ""
    client_ca: str = ""  # clients must show a certificate of this authority


@dataclass(frozen=True, slots=True)
class Jwt:
    """Bearer tokens. Without `issuer` nobody needs one."""

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks: str = ""  # a file, read anew when its folder changes, or an https:// URL
    refresh_s: Annotated[float, Bounds(1, 86_400)] = 300.0  # how old fetched keys may be
    clock_skew_s: Annotated[int, Bounds(1, 600)] = 60
    tenant_claim: str = "tenant"


@dataclass(frozen=True, slots=True)
class Tenant:
    """What one tenant may ask of one Envoy; 0 is no limit."""

    per_s: Rate = 0.0
    burst: Rate = 0.0  # 0: twice per_s
    per_day: Annotated[float, Bounds(0, 1e9)] = 0.0

    @property
    def bucket(self) -> float:
        return max(1.0, self.burst or 2 * self.per_s)


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests of all, of each tenant, and of tenants by name."""

    by: str = "address"  # what a tenant is: claim, certificate (its subject) or address
    total_per_s: Annotated[float, Bounds(1, 1_000_000)] = 5000.0
    known: Annotated[int, Bounds(1, 100_000)] = 1000  # tenants whose counts are kept; the longest unseen is forgotten
    each: Tenant = Tenant()
    tenants: Mapping[str, Tenant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Web:
    """Browsers."""

    origins: tuple[str, ...] = ()  # pages that may call: https://shop.example


@dataclass(frozen=True, slots=True)
class Upstream:
    """Servers that share the load: the least busy of two is taken, sick ones are left out."""

    addresses: tuple[str, ...] = ()  # HOST:PORT; all addresses of a host's name are used
    connect_s: Seconds = 1.0
    check_every_s: Seconds = 2.0  # between two health checks
    failures: Annotated[int, Bounds(1, 1000)] = 5  # in a row, that eject a server
    ejected_s: Seconds = 10.0
    max_ejected: Share = 50.0  # percent of the servers
    max_requests: Count = 4096  # in flight to all of them
    retries: Annotated[int, Bounds(0, 5)] = 2
    retry_budget: Share = 50.0  # percent of the requests in flight that may be retries: with two servers, one may die
    hedge_after_s: Annotated[float, Bounds(0, 60)] = 0.0  # a second server is asked too after this; 0: never


@dataclass(frozen=True, slots=True)
class Triton:
    """A second listener, for gateways: their calls are shared out over Tritons. Without `port` there is none."""

    address: str = "127.0.0.1"
    port: Annotated[int, Bounds(0, 65535)] = 0
    servers: Upstream = Upstream()


@dataclass(frozen=True, slots=True)
class Traces:
    """Spans of the edge, sent by OTLP over gRPC. Without `collector` there are none; callers' traces pass on anyway."""

    collector: str = ""  # HOST:PORT
    percent: Share = 1.0  # of the requests whose caller brings no trace; a caller's own decision is kept


@dataclass(frozen=True, slots=True)
class Process:
    """Envoy itself."""

    admin_port: Port = 9901  # on 127.0.0.1 alone
    metrics_address: str = "127.0.0.1"
    metrics_port: Port = 9902  # /stats/prometheus and /ready, nothing else
    max_heap_mb: Annotated[int, Bounds(64, 1 << 20)] = 1024  # requests are refused at 95 percent


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    listener: Listener = Listener()
    tls: Tls = Tls()
    jwt: Jwt = Jwt()
    limits: Limits = Limits()
    web: Web = Web()
    gateways: Upstream = Upstream()
    triton: Triton = Triton()
    traces: Traces = Traces()
    process: Process = Process()

    def __post_init__(self) -> None:
        _both("tls.certificate", self.tls.certificate, "tls.key", self.tls.key)
        _both("jwt.issuer", self.jwt.issuer, "jwt.jwks", self.jwt.jwks)
        _check(not self.jwt.issuer or bool(self.jwt.audiences), "jwt.audiences", "at least one", self.jwt.audiences)
        _check(not self.jwt.jwks.startswith("http://"), "jwt.jwks", "a file or an https:// URL", self.jwt.jwks)
        _check(not self.tls.client_ca or bool(self.tls.key), "tls.client_ca", "tls.certificate too", self.tls.client_ca)
        _check(self.limits.by in BY, "limits.by", f"one of {', '.join(BY)}", self.limits.by)
        needed = {"claim": self.jwt.issuer, "certificate": self.tls.client_ca, "address": "always"}[self.limits.by]
        _check(bool(needed), "limits.by", "jwt.issuer for claims, tls.client_ca for certificates", self.limits.by)
        _check(bool(self.gateways.addresses), "gateways.addresses", "at least one HOST:PORT", ())
        if self.triton.port:
            _check(bool(self.triton.servers.addresses), "triton.servers.addresses", "at least one HOST:PORT", ())
        for name, upstream in (("gateways", self.gateways), ("triton.servers", self.triton.servers)):
            for address in upstream.addresses:
                _check(bool(_ADDRESS.fullmatch(address)), f"{name}.addresses", "HOST:PORT", address)
        if self.traces.collector:
            _check(
                bool(_ADDRESS.fullmatch(self.traces.collector)), "traces.collector", "HOST:PORT", self.traces.collector
            )
        for origin in self.web.origins:
            _check(bool(_ORIGIN.fullmatch(origin)), "web.origins", "such as https://shop.example", origin)

    def files(self) -> dict[str, str]:
        """Files that Envoy reads, by the name of the setting."""
        jwks = "" if "://" in self.jwt.jwks else self.jwt.jwks
        named = {"tls.certificate": self.tls.certificate, "tls.key": self.tls.key}
        return {
            name: file
            for name, file in {**named, "tls.client_ca": self.tls.client_ca, "jwt.jwks": jwks}.items()
            if file
        }


def _check(holds: bool, name: str, expected: str, value: object) -> None:
    if not holds:
        raise EdgeSettingsError(f"{name}: expected {expected}, got {value!r}")


def _both(name: str, one: str, other_name: str, other: str) -> None:
    _check(bool(one) == bool(other), other_name if one else name, f"a value, as {other_name} has one", "")


T = TypeVar("T")


def read_edge_settings(path: Path, gateway: str = "") -> EdgeSettings:
    """`edge.toml`; `gateway` takes the place of its gateways.addresses. EdgeSettingsError names the file and field."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EdgeSettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EdgeSettingsError(f"{path}: not valid TOML: {error}") from error
    if gateway:
        values["gateways"] = {**values.get("gateways", {}), "addresses": [gateway]}
    try:
        return _table("", EdgeSettings, _with_whole_paths(values, path.parent.absolute()))
    except EdgeSettingsError as error:
        raise EdgeSettingsError(f"{path}: {error}") from error


def _with_whole_paths(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Files named from the folder of the settings; Envoy may run in another one."""
    for table, names in {"tls": ("certificate", "key", "client_ca"), "jwt": ("jwks",)}.items():
        given = values.get(table)
        for name in names:
            file = given.get(name) if isinstance(given, dict) else None
            if isinstance(file, str) and file and "://" not in file:
                values[table][name] = str(folder / file)
    return values


def _table(name: str, kind: type[T], values: object) -> T:
    """One table of the file as its dataclass."""
    _check(isinstance(values, dict), name, "a table", values)
    assert isinstance(values, dict)
    types = get_type_hints(kind, include_extras=True)
    known = [known.name for known in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        _check(key in known, f"{name}.{key}".lstrip("."), f"one of {', '.join(known)}", key)
    return kind(**{key: _value(f"{name}.{key}".lstrip("."), types[key], value) for key, value in values.items()})


def _value(name: str, kind: Any, value: Any) -> Any:
    bounds = (
        [extra for extra in get_args(kind)[1:] if isinstance(extra, Bounds)] if get_origin(kind) is Annotated else []
    )
    if bounds:
        return _number(name, get_args(kind)[0], bounds[0], value)
    if is_dataclass(kind) and isinstance(kind, type):
        return _table(name, kind, value)
    if get_origin(kind) is Mapping:
        _check(isinstance(value, dict), name, "a table", value)
        return {key: _table(f"{name}.{key}", get_args(kind)[1], entry) for key, entry in value.items()}
    if get_origin(kind) is tuple:
        _check(isinstance(value, list) and all(isinstance(one, str) for one in value), name, "a list of texts", value)
        return tuple(value)
    _check(isinstance(value, str), name, "a text", value)
    return value


def _number(name: str, kind: type, bounds: Bounds, value: Any) -> Any:
    fits = isinstance(value, int | float if kind is float else int) and not isinstance(value, bool)
    what = "a whole number" if kind is int else "a number"
    _check(
        fits and bounds.least <= value <= bounds.most, name, f"{what} from {bounds.least:g} to {bounds.most:g}", value
    )
    return kind(value)


def defaults(kind: type = EdgeSettings, name: str = "") -> dict[str, object]:
    """Every setting by its whole name, with its default; for the documentation."""
    found: dict[str, object] = {}
    for known in fields(kind):
        value = _default(known)
        whole = f"{name}.{known.name}".lstrip(".")
        found |= defaults(type(value), whole) if is_dataclass(value) else {whole: value}
    return found


def _default(known: Field[Any]) -> object:
    if known.default_factory is not MISSING:
        return known.default_factory()
    return known.default
