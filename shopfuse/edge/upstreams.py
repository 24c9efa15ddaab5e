"""Servers behind the edge, as Envoy's clusters: who is healthy, who gets the next call, what is tried again."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from shopfuse.core.addresses import bare_host
from shopfuse.edge.settings import Upstream

Json = dict[str, Any]
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
# Retries at once that need no budget: calls whose server has just died count as in flight nowhere.
FEW_RETRIES = 20
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# The server has not begun, or has died: as gRPC's UNAVAILABLE, and nothing has changed. RESOURCE_EXHAUSTED and
# DEADLINE_EXCEEDED are answers.
RETRY_ON = "unavailable,connect-failure,refused-stream,reset"


def seconds(value: float) -> str:
    """A duration as protobuf's JSON has it."""
    return f"{value:.3f}s"


def typed(kind: str, **fields: Any) -> Json:
    return {"@type": f"type.googleapis.com/{kind}", **fields}


def address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def grpc_cluster(name: str, upstream: Upstream, service: str) -> Json:
    """Servers that speak gRPC over plain HTTP/2 and answer grpc.health.v1 for `service`."""
    hosts = [one.rpartition(":") for one in upstream.addresses]
    return {
        "name": name,
        "type": "STRICT_DNS",
        "dns_refresh_rate": seconds(5),
        "respect_dns_ttl": True,
        "connect_timeout": seconds(upstream.connect_s),
        "load_assignment": _endpoints(name, [address(bare_host(host), int(port)) for host, _, port in hosts]),
        "lb_policy": "LEAST_REQUEST",
        # Of servers that are all sick, all are asked: each may still give a degraded answer.
        "common_lb_config": {
            "healthy_panic_threshold": {"value": 20},
            "update_merge_window": "0s",  # a server that is sick or ejected gets no call a moment later
        },
        "health_checks": [
            {
                "timeout": seconds(1),
                "interval": seconds(upstream.check_every_s),
                "interval_jitter": seconds(upstream.check_every_s / 10),
                "no_traffic_interval": seconds(upstream.check_every_s),
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "grpc_health_check": {"service_name": service},
            }
        ],
        "outlier_detection": {
            "consecutive_5xx": upstream.failures,
            "enforcing_consecutive_5xx": 0,  # INTERNAL is an answer, too; a server that is away gives UNAVAILABLE
            "consecutive_gateway_failure": upstream.failures,
            "enforcing_consecutive_gateway_failure": 100,
            "enforcing_success_rate": 0,
            # That it answers a health check does not mean that it answers searches.
            "successful_active_health_check_uneject_host": False,
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": upstream.failures,
            "enforcing_local_origin_success_rate": 0,
            "interval": seconds(1),
            "base_ejection_time": seconds(upstream.ejected_s),
            "max_ejection_percent": round(upstream.max_ejected),
        },
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": 1024,
                    "max_pending_requests": upstream.max_requests,
                    "max_requests": upstream.max_requests,
                    "retry_budget": {
                        "budget_percent": {"value": upstream.retry_budget},
                        "min_retry_concurrency": FEW_RETRIES,
                    },
                }
            ]
        },
        "typed_extension_protocol_options": _http2(),
    }


def _http2() -> Json:
    options = {
        "max_concurrent_streams": 100,
        "initial_stream_window_size": 1 << 20,
        "initial_connection_window_size": 4 << 20,
        # As gRPC servers allow: a ping each 20 s at the most.
        "connection_keepalive": {"interval": seconds(30), "timeout": seconds(10)},
    }
    return {HTTP: typed(HTTP, explicit_http_config={"http2_protocol_options": options})}


def _endpoints(name: str, addresses: list[Json]) -> Json:
    return {
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": one}} for one in addresses]}],
    }


def local_cluster(name: str, at: Json) -> Json:
    """One address in this Envoy, over HTTP/1."""
    return {"name": name, "type": "STATIC", "connect_timeout": seconds(1), "load_assignment": _endpoints(name, [at])}


def collector_cluster(name: str, where: str) -> Json:
    """Takes OTLP over plain HTTP/2. What it does not take in time is lost: no request waits for it."""
    host, _, port = where.rpartition(":")
    return {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": seconds(1),
        "load_assignment": _endpoints(name, [address(host, int(port))]),
        "typed_extension_protocol_options": _http2(),
    }


def https_cluster(name: str, url: str) -> Json:
    """The server of a URL, its certificate checked against the system's authorities."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    names = [{"san_type": "DNS", "matcher": {"exact": host}}]
    return {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": seconds(2),
        "load_assignment": _endpoints(name, [address(host, parts.port or 443)]),
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": TLS,
                "sni": host,
                "common_tls_context": {
                    "validation_context": {
                        "trusted_ca": {"filename": AUTHORITIES},
                        "match_typed_subject_alt_names": names,
                    }
                },
            },
        },
    }


def retry_policy(upstream: Upstream) -> Json:
    """For calls that change nothing: another server is tried, within the budget of the cluster and the deadline."""
    policy: Json = {
        "retry_on": RETRY_ON,
        "num_retries": upstream.retries,
        "retry_back_off": {"base_interval": seconds(0.01), "max_interval": seconds(0.1)},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": typed("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ],
        "host_selection_retry_max_attempts": 20,
    }
    if upstream.hedge_after_s:
        policy["per_try_timeout"] = seconds(upstream.hedge_after_s)
    return policy


def call_route(match: Json, cluster: str, upstream: Upstream, max_s: float, is_safe: bool) -> Json:
    """gRPC calls to a cluster. The caller's deadline counts, `max_s` at the most, and is passed on."""
    route: Json = {
        "cluster": cluster,
        "timeout": "0s",
        "max_stream_duration": {"max_stream_duration": seconds(max_s), "grpc_timeout_header_max": seconds(max_s)},
    }
    if is_safe and upstream.retries:
        route["retry_policy"] = retry_policy(upstream)
        if upstream.hedge_after_s:
            route["hedge_policy"] = {"hedge_on_per_try_timeout": True}
    return {"match": match, "route": route}
