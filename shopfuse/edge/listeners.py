"""Where calls come in, as Envoy's listeners: clients, gateways that ask Tritons, Prometheus and probes."""

from __future__ import annotations

from google.rpc import code_pb2, error_details_pb2

from shopfuse.edge.api import methods
from shopfuse.edge.filters import (
    DOMAIN,
    PAYLOAD,
    REASON_HEADER,
    TOKENS,
    TOO_MANY,
    client_filters,
    details,
    header,
    router,
)
from shopfuse.edge.settings import EdgeSettings, Listener, Traces
from shopfuse.edge.upstreams import Json, address, call_route, seconds, typed

GATEWAYS, TRITONS, ADMIN, COLLECTOR = "gateways", "tritons", "admin", "collector"
CERTIFICATE, AUTHORITY = "server_certificate", "client_authority"  # secrets, each delivered by a file of its name
CODES = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
STDOUT = "/dev/stdout"
TRITON_MAX_S = 60.0
NO_TOKEN = (code_pb2.UNAUTHENTICATED, "UNAUTHENTICATED", "a valid bearer token is needed")
REPLIES = (
    (403, *NO_TOKEN),
    (401, *NO_TOKEN),
    (413, code_pb2.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE", "the request is too large"),
    (503, code_pb2.UNAVAILABLE, "UNAVAILABLE", "no gateway answers"),
)
DETAIL = "type.googleapis.com/google.rpc"
# What gateways ask of any Triton. Loading and unloading is not among them: it must reach every Triton, not one.
TRITON_METHODS = ("ModelInfer", "ModelReady", "ServerLive", "ServerReady", "ModelMetadata", "ModelConfig")
# Headers by which a client could pretend to be somebody, or steer this Envoy.
INNER_HEADERS = ("x-shopfuse-", "x-envoy-")
BROWSER_HEADERS = "content-type,x-grpc-web,x-user-agent,grpc-timeout,authorization,traceparent,tracestate"
SHOWN_HEADERS = "grpc-status,grpc-message,grpc-status-details-bin,server-timing,x-request-id,retry-after"
LOGGED = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "traceparent": "%REQ(TRACEPARENT)%",
    "tenant": f"%DYNAMIC_METADATA({TOKENS}:{PAYLOAD}:CLAIM)%",
    "certificate": "%DOWNSTREAM_PEER_SUBJECT%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ:ORIG_OR_PATH)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS%",
    "why": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "duration_ms": "%DURATION%",
    "gateway_ms": "%RESPONSE_DURATION%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "gateway": "%UPSTREAM_HOST%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}


def client_listener(settings: EdgeSettings) -> Json:
    listener = settings.listener
    chain: Json = {"filters": [_connection_manager("clients", listener, _client_options(settings))]}
    if settings.tls.certificate:
        chain["transport_socket"] = _tls(bool(settings.tls.client_ca))
        chain["transport_socket_connect_timeout"] = seconds(5)
    return {
        "name": "clients",
        "address": address(listener.address, listener.port),
        "per_connection_buffer_limit_bytes": 32 << 10,
        "filter_chains": [chain],
    }


def _connection_manager(name: str, listener: Listener, options: Json) -> Json:
    manager = {
        "@type": CODES,
        "stat_prefix": name,
        "use_remote_address": True,
        "generate_request_id": True,
        "common_http_protocol_options": {
            "idle_timeout": seconds(listener.idle_s),
            "max_connection_duration": seconds(listener.max_connection_s),
            "max_headers_count": 64,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": listener.max_streams,
            "initial_stream_window_size": 64 << 10,
            "initial_connection_window_size": 1 << 20,
            "connection_keepalive": {"interval": seconds(60), "timeout": seconds(10)},
        },
        "request_headers_timeout": seconds(5),
        "stream_idle_timeout": seconds(listener.max_request_s + 5),
        "max_request_headers_kb": 16,
        "normalize_path": True,
        "merge_slashes": True,
        **options,
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _client_options(settings: EdgeSettings) -> Json:
    stripped = [{"remove_on_match": {"key_matcher": {"prefix": prefix}}} for prefix in INNER_HEADERS]
    mutation = typed(
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation", mutations=stripped
    )
    name = "envoy.http.early_header_mutation.header_mutation"
    return {
        "always_set_request_id_in_response": True,
        "early_header_mutation_extensions": [{"name": name, "typed_config": mutation}],
        "access_log": [_access_log(settings)],
        "local_reply_config": {"mappers": _local_replies()},
        "http_filters": client_filters(settings),
        "route_config": {"name": "clients", "virtual_hosts": [_client_host(settings)]},
        **({"tracing": _tracing(settings.traces)} if settings.traces.collector else {}),
    }


def _tracing(traces: Traces) -> Json:
    """A span for the call and one for each attempt at a gateway. No URL: what a shopper typed is in its query."""
    service = {"envoy_grpc": {"cluster_name": COLLECTOR}, "timeout": seconds(1)}
    share = {"numerator": round(traces.percent * 10_000), "denominator": "MILLION"}
    without_parent = _sampler("trace_id_ratio_based", "TraceIdRatioBased", sampling_percentage=share)
    tracer = typed(
        "envoy.config.trace.v3.OpenTelemetryConfig",
        grpc_service=service,
        service_name="edge",
        sampler=_sampler("parent_based", "ParentBased", wrapped_sampler=without_parent),
    )
    return {
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": tracer},
        "spawn_upstream_span": True,
        "max_path_tag_length": 0,
    }


def _sampler(name: str, kind: str, **fields: Json) -> Json:
    package = "envoy.extensions.tracers.opentelemetry.samplers.v3"
    return {
        "name": f"envoy.tracers.opentelemetry.samplers.{name}",
        "typed_config": typed(f"{package}.{kind}SamplerConfig", **fields),
    }


def _client_host(settings: EdgeSettings) -> Json:
    host: Json = {
        "name": "shopfuse",
        "domains": ["*"],
        "routes": [
            call_route(
                {"path": method.path}, GATEWAYS, settings.gateways, settings.listener.max_request_s, method.is_safe
            )
            for method in methods()
        ],
        # As much of a request as is kept to send it again; a longer one is not retried.
        "per_request_buffer_limit_bytes": 256 << 10,
    }
    if settings.web.origins:
        policy = typed(
            "envoy.extensions.filters.http.cors.v3.CorsPolicy",
            allow_origin_string_match=[{"exact": origin} for origin in settings.web.origins],
            allow_methods="GET,POST,OPTIONS",
            allow_headers=BROWSER_HEADERS,
            expose_headers=SHOWN_HEADERS,
            max_age="7200",
        )
        host["typed_per_filter_config"] = {"envoy.filters.http.cors": policy}
    return host


def _access_log(settings: EdgeSettings) -> Json:
    """One JSON object a line. Without queries: what a shopper typed is in a URL's query."""
    tenant = LOGGED["tenant"].replace("CLAIM", settings.jwt.tenant_claim)
    lines = {"json_format": {**LOGGED, "tenant": tenant}}
    if settings.listener.access_log == STDOUT:  # not opened by its name, which a user other than root may not
        log = typed("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", log_format=lines)
        return {"name": "envoy.access_loggers.stdout", "typed_config": log}
    kind = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": typed(kind, path=settings.listener.access_log, log_format=lines),
    }


def _local_replies() -> list[Json]:
    """What Envoy answers by itself, as the gateway does: google.rpc.Status with its details, or the same as JSON.

    A token for somebody else is no token (401, not 403); too large is RESOURCE_EXHAUSTED, as gRPC has it.
    """
    limited = [
        _json_reply(429, code_pb2.RESOURCE_EXHAUSTED, f"%RESP({REASON_HEADER})%", TOO_MANY, "%RESP(RETRY-AFTER)%s")
    ]
    limited.append({"filter": _replied_with(429), "body": {"inline_string": TOO_MANY}})
    mappers = [mapper for reply in REPLIES for mapper in (_json_reply(*reply), _grpc_reply(*reply))]
    for mapper in mappers[:2]:
        mapper["status_code"] = 401
    return [*mappers, *limited]


def _replied_with(code: int) -> Json:
    comparison = {"op": "EQ", "value": {"default_value": code, "runtime_key": f"edge.local_reply_{code}"}}
    return {"status_code_filter": {"comparison": comparison}}


def _grpc_reply(replied: int, code: int, reason: str, text: str) -> Json:
    """The text is said twice: clients hold the status against its details."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
    headers = [details(code, text, info), header("grpc-status", str(code))]
    return {"filter": _replied_with(replied), "headers_to_add": headers, "body": {"inline_string": text}}


def _json_reply(replied: int, code: int, reason: str, text: str, retry: str = "") -> Json:
    """For requests that came as JSON: their path was another one."""
    was_json = {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": True}}}
    parts = [{"@type": f"{DETAIL}.ErrorInfo", "reason": reason, "domain": DOMAIN}]
    if retry:
        parts.append({"@type": f"{DETAIL}.RetryInfo", "retryDelay": retry})
    return {
        "filter": {"and_filter": {"filters": [_replied_with(replied), was_json]}},
        "body_format_override": {"json_format": {"code": code, "message": text, "details": parts}},
    }


def _tls(must_show_certificate: bool) -> Json:
    """Certificates come from files that Envoy watches, so that new ones need no restart."""
    common: Json = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [secret_source(CERTIFICATE)],
    }
    if must_show_certificate:
        common["validation_context_sds_secret_config"] = secret_source(AUTHORITY)
    context = typed(
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context=common,
        require_client_certificate=must_show_certificate,
    )
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def secret_source(name: str) -> Json:
    """`FOLDER` becomes the folder of the rendered files."""
    return {
        "name": name,
        "sds_config": {"path_config_source": {"path": f"FOLDER/{name}.json"}, "resource_api_version": "V3"},
    }


def triton_listener(settings: EdgeSettings) -> Json:
    triton = settings.triton
    routes = [
        call_route({"path": f"/inference.GRPCInferenceService/{method}"}, TRITONS, triton.servers, TRITON_MAX_S, True)
        for method in TRITON_METHODS
    ]
    inner = Listener(max_streams=1000, max_connection_s=3600, idle_s=3600, max_request_s=TRITON_MAX_S)
    options = {
        "http_filters": [router()],
        "route_config": {"name": TRITONS, "virtual_hosts": [{"name": TRITONS, "domains": ["*"], "routes": routes}]},
    }
    return {
        "name": TRITONS,
        "address": address(triton.address, triton.port),
        "filter_chains": [{"filters": [_connection_manager(TRITONS, inner, options)]}],
    }


def metrics_listener(settings: EdgeSettings) -> Json:
    """Two pages of Envoy's admin interface for Prometheus and probes; all else of it stays on loopback."""
    routes = [{"match": {"path": path}, "route": {"cluster": ADMIN}} for path in ("/ready", "/stats/prometheus")]
    options = {
        "http_filters": [router()],
        "route_config": {"name": ADMIN, "virtual_hosts": [{"name": ADMIN, "domains": ["*"], "routes": routes}]},
    }
    process = settings.process
    return {
        "name": "metrics",
        "address": address(process.metrics_address, process.metrics_port),
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
        "filter_chains": [{"filters": [_connection_manager("metrics", Listener(), options)]}],
    }
