"""What every request of a client passes, in this order: CORS, grpc-web, JSON, token, rate, quota, size."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from shopfuse.edge.api import descriptors, services
from shopfuse.edge.settings import EdgeSettings, Jwt, Tenant
from shopfuse.edge.upstreams import Json, seconds, typed

DOMAIN = "shopfuse"
JWKS = "jwks"  # the cluster that has the keys of tokens
PAYLOAD = "claims"  # where in the token filter's metadata they lie
TOKENS = "envoy.filters.http.jwt_authn"
DAY_S = 86_400
REASON_HEADER = "x-refused-because"
TOO_MANY = "too many requests"  # of a second, or of a day: ErrorInfo tells
QUOTA_RETRY_S = 3600  # a quota is refilled all day long, yet an hour's part of it is worth coming back for
UNLIMITED = (1 << 32) - 1


def client_filters(settings: EdgeSettings) -> list[Json]:
    filters = [
        _filter("envoy.filters.http.cors", "cors.v3.Cors"),
        _filter("envoy.filters.http.grpc_web", "grpc_web.v3.GrpcWeb"),
        _json(settings),
    ]
    if settings.jwt.issuer:
        filters.append(_tokens(settings.jwt))
    filters += [_rate(settings), _quota(settings)]
    filters.append(
        _filter("envoy.filters.http.buffer", "buffer.v3.Buffer", max_request_bytes=settings.listener.max_request_bytes)
    )
    return [*filters, router()]


def router() -> Json:
    return _filter("envoy.filters.http.router", "router.v3.Router")


def _filter(name: str, kind: str, **fields: Any) -> Json:
    return {"name": name, "typed_config": typed(f"envoy.extensions.filters.http.{kind}", **fields)}


def _json(settings: EdgeSettings) -> Json:
    """JSON to gRPC and back, by the paths of the .proto files; errors as google.rpc.Status with their details."""
    return _filter(
        "envoy.filters.http.grpc_json_transcoder",
        "grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor_bin=descriptors(),
        services=services(),
        auto_mapping=False,
        convert_grpc_status=True,
        print_options={"always_print_primitive_fields": True, "preserve_proto_field_names": True},
        # In JSON bytes are a third longer, and names are spelled out.
        max_request_body_size=2 * settings.listener.max_request_bytes,
        max_response_body_size=16 << 20,
        request_validation_options={"reject_unknown_query_parameters": True},
    )


def _tokens(jwt: Jwt) -> Json:
    url = jwt.jwks if jwt.jwks.startswith("https://") else f"http://{JWKS}/"
    provider = {
        "issuer": jwt.issuer,
        "audiences": list(jwt.audiences),
        "remote_jwks": {
            "http_uri": {"uri": url, "cluster": JWKS, "timeout": seconds(2)},
            "cache_duration": seconds(jwt.refresh_s),
            "async_fetch": {"fast_listener": False, "failed_refetch_duration": seconds(1)},
        },
        "clock_skew_seconds": jwt.clock_skew_s,
        "require_expiration": True,
        "payload_in_metadata": PAYLOAD,
    }
    return _filter(
        TOKENS,
        "jwt_authn.v3.JwtAuthentication",
        providers={"clients": provider},
        rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "clients"}}],
    )


def _rate(settings: EdgeSettings) -> Json:
    limits = settings.limits
    total = _bucket(limits.total_per_s, 2 * limits.total_per_s, 1)
    named = {name: tenant for name, tenant in limits.tenants.items() if tenant.per_s}
    buckets = [(name, _bucket(tenant.per_s, tenant.bucket, 1)) for name, tenant in named.items()]
    if limits.each.per_s:
        buckets.append(("", _bucket(limits.each.per_s, limits.each.bucket, 1)))
    return _limit(settings, "rate", total, buckets, refused("RATE_LIMITED", 1))


def _quota(settings: EdgeSettings) -> Json:
    limits = settings.limits
    buckets = [(name, _day(tenant)) for name, tenant in limits.tenants.items() if tenant.per_day]
    if limits.each.per_day:
        buckets.append(("", _day(limits.each)))
    unlimited = _bucket(UNLIMITED, UNLIMITED, 1)
    return _limit(settings, "quota", unlimited, buckets, refused("QUOTA_EXCEEDED", QUOTA_RETRY_S))


def _day(tenant: Tenant) -> Json:
    return _bucket(tenant.per_day, tenant.per_day, DAY_S)


def _bucket(tokens: float, most: float, every_s: float) -> Json:
    """`tokens` come back every so often, spread evenly. Less than one a second is one in so many seconds."""
    if tokens < 1:
        tokens, every_s = 1, every_s / tokens
    return {"max_tokens": round(max(most, 1)), "tokens_per_fill": round(tokens), "fill_interval": seconds(every_s)}


def _limit(
    settings: EdgeSettings, name: str, total: Json, buckets: list[tuple[str, Json]], headers: list[Json]
) -> Json:
    """Counts in this Envoy alone. A bucket without a name is one for each tenant that no other names."""
    key = "remote_address" if settings.limits.by == "address" else "tenant"
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return _filter(
        f"shopfuse.{name}",
        "local_ratelimit.v3.LocalRateLimit",
        stat_prefix=name,
        token_bucket=total,
        filter_enabled=always,
        filter_enforced=always,
        rate_limits=[{"actions": [_tenant(settings)]}],
        descriptors=[
            {"entries": [{"key": key, **({"value": tenant} if tenant else {})}], "token_bucket": bucket}
            for tenant, bucket in buckets
        ],
        max_dynamic_descriptors=settings.limits.known,
        rate_limited_as_resource_exhausted=True,
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
        response_headers_to_add=headers,
    )


def _tenant(settings: EdgeSettings) -> Json:
    """Who asks, as the limits count it; nothing that a client can choose freely."""
    by = settings.limits.by
    if by == "address":
        return {"remote_address": {}}
    if by == "certificate":
        return {"extension": _expression("connection.subject_peer_certificate")}
    key = {"key": TOKENS, "path": [{"key": PAYLOAD}, {"key": settings.jwt.tenant_claim}]}
    return {"metadata": {"descriptor_key": "tenant", "metadata_key": key, "default_value": "unnamed"}}


def _expression(text: str) -> Json:
    kind = "envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor"
    return {
        "name": "envoy.rate_limit_descriptors.expr",
        "typed_config": typed(kind, descriptor_key="tenant", text=text),
    }


def refused(reason: str, retry_s: float) -> list[Json]:
    """The headers of a refusal that a client can act on: google.rpc.Status as the gateway's own, and when to retry."""
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(int(retry_s * 1000))
    return [
        details(
            code_pb2.RESOURCE_EXHAUSTED, TOO_MANY, error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN), retry
        ),
        header("grpc-retry-pushback-ms", str(int(retry_s * 1000))),
        header(REASON_HEADER, reason),
        header("retry-after", str(int(retry_s))),
    ]


def details(code: int, text: str, *parts: Message) -> Json:
    status = status_pb2.Status(code=code, message=text)
    for part in parts:
        packed = any_pb2.Any()
        packed.Pack(part)
        status.details.append(packed)
    return header("grpc-status-details-bin", base64.b64encode(status.SerializeToString()).decode().rstrip("="))


def header(key: str, value: str) -> Json:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
