"""The whole of Envoy's configuration, as files: `envoy.json`, and one for each secret that Envoy follows."""

from __future__ import annotations

import json
from pathlib import Path

from shopfuse.core.atomic_files import write_text
from shopfuse.edge.filters import JWKS, router
from shopfuse.edge.listeners import (
    ADMIN,
    AUTHORITY,
    CERTIFICATE,
    COLLECTOR,
    GATEWAYS,
    TRITONS,
    client_listener,
    metrics_listener,
    triton_listener,
)
from shopfuse.edge.settings import EdgeSettings, Tls
from shopfuse.edge.upstreams import (
    Json,
    address,
    collector_cluster,
    grpc_cluster,
    https_cluster,
    local_cluster,
    seconds,
    typed,
)

BOOTSTRAP = "envoy.json"
HEALTHY_SERVICE = "shopfuse.v1.SearchService"
SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"


def rendered(settings: EdgeSettings, folder: str) -> dict[str, str]:
    """File name -> contents, for an Envoy that finds them in `folder`."""
    files = {BOOTSTRAP: bootstrap(settings), **_secrets(settings.tls)}
    return {
        name: json.dumps(contents, indent=1).replace("FOLDER/", f"{folder}/") + "\n" for name, contents in files.items()
    }


def write_config(settings: EdgeSettings, folder: Path, found_at: str = "") -> Path:
    """Writes the files to `folder`, for an Envoy that finds them there or, in a container, elsewhere; gives the main
    one's path."""
    for name, contents in rendered(settings, found_at or str(folder.absolute())).items():
        write_text(folder / name, contents)
    return folder / BOOTSTRAP


def bootstrap(settings: EdgeSettings) -> Json:
    process = settings.process
    listeners = [client_listener(settings), metrics_listener(settings)]
    clusters = [
        grpc_cluster(GATEWAYS, settings.gateways, HEALTHY_SERVICE),
        local_cluster(ADMIN, address("127.0.0.1", process.admin_port)),
    ]
    if settings.jwt.issuer:
        keys = settings.jwt.jwks
        if keys.startswith("https://"):
            clusters.append(https_cluster(JWKS, keys))
        else:
            clusters.append(local_cluster(JWKS, {"envoy_internal_address": {"server_listener_name": JWKS}}))
            listeners.append(_file_listener(JWKS, keys))
    if settings.traces.collector:
        clusters.append(collector_cluster(COLLECTOR, settings.traces.collector))
    if settings.triton.port:
        listeners.append(triton_listener(settings))
        clusters.append(grpc_cluster(TRITONS, settings.triton.servers, ""))
    return {
        "node": {"id": "edge", "cluster": "shopfuse"},
        "admin": {"address": address("127.0.0.1", process.admin_port)},
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": typed("envoy.extensions.bootstrap.internal_listener.v3.InternalListener"),
            }
        ],
        "static_resources": {"listeners": listeners, "clusters": clusters},
        "overload_manager": _overload(settings),
        "layered_runtime": {"layers": [{"name": "static", "static_layer": _runtime(settings)}]},
    }


def _runtime(settings: EdgeSettings) -> Json:
    """Against clients that open calls only to give them up, or put many into one packet."""
    return {
        "overload.premature_reset_total_stream_count": settings.listener.max_resets,
        "overload.premature_reset_min_stream_lifetime_seconds": 1,
        "http.max_requests_per_io_cycle": 10,
    }


def _overload(settings: EdgeSettings) -> Json:
    """Memory and connections have an end that is chosen, not found."""
    heap, connections = (
        "envoy.resource_monitors.fixed_heap",
        "envoy.resource_monitors.global_downstream_max_connections",
    )

    def at(share: float) -> list[Json]:
        return [{"name": heap, "threshold": {"value": share}}]

    monitor = "envoy.extensions.resource_monitors"
    return {
        "refresh_interval": seconds(0.25),
        "resource_monitors": [
            {
                "name": heap,
                "typed_config": typed(
                    f"{monitor}.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=settings.process.max_heap_mb << 20
                ),
            },
            {
                "name": connections,
                "typed_config": typed(
                    f"{monitor}.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=settings.listener.max_connections,
                ),
            },
        ],
        "actions": [
            {"name": "envoy.overload_actions.shrink_heap", "triggers": at(0.90)},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": at(0.95)},
            {"name": "envoy.overload_actions.stop_accepting_connections", "triggers": at(0.98)},
        ],
    }


def _file_listener(name: str, file: str) -> Json:
    """Serves one file to this Envoy itself, and nobody else: keys of a file are fetched as those of a URL are."""
    body = {"filename": file, "watched_directory": {"path": str(Path(file).parent)}}
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": body}}
    manager = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        http_filters=[router()],
        route_config={
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}],
            "max_direct_response_body_size_bytes": 1 << 20,
        },
    )
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "internal_listener": {}, "filter_chains": [chain]}


def _secrets(tls: Tls) -> dict[str, Json]:
    secrets: dict[str, Json] = {}
    if tls.certificate:
        watched = {"watched_directory": {"path": str(Path(tls.certificate).parent)}}
        files = {"certificate_chain": {"filename": tls.certificate}, "private_key": {"filename": tls.key}}
        secrets[CERTIFICATE] = {"tls_certificate": {**files, **watched}}
    if tls.client_ca:
        watched = {"watched_directory": {"path": str(Path(tls.client_ca).parent)}}
        secrets[AUTHORITY] = {"validation_context": {"trusted_ca": {"filename": tls.client_ca}, **watched}}
    return {f"{name}.json": {"resources": [typed(SECRET, name=name, **secret)]} for name, secret in secrets.items()}
