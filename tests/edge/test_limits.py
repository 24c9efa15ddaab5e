"""How much a tenant, a connection and a request may be, and what those are told that want more."""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from shopfuse.v1 import search_pb2, search_pb2_grpc
from tests.edge.backend import SLOW_S
from tests.edge.edges import TIMEOUT_S, Backend, Edge, bearer, edge, refusal, search
from tests.edge.identities import Authority, Issuer, write_keys, write_pair
from tests.edge.test_clients import JWT, TLS, secure
from tests.waiting import wait_until

LIMITS = '[limits]\nby = "claim"\neach = {per_s = 5, burst = 5}\n'
LIMITS += "tenants.acme = {per_s = 1000}\ntenants.daily = {per_s = 1000, per_day = 3}\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS_FRAME, RESET_FRAME, SETTINGS_FRAME = 1, 3, 4
END_HEADERS, CANCEL = 4, 8


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, gateways: list[Backend], issuer: Issuer) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("limited")
    (folder / "jwks").mkdir()
    write_keys(folder / "jwks" / "jwks.json", issuer)
    with edge(folder, gateways, JWT + LIMITS) as running:
        yield running


def outcomes(channel: grpc.Channel, calls: int, token: str = "") -> Counter[str]:
    """Status -> how many of so many searches, one after the other."""
    counts: Counter[str] = Counter()
    for _ in range(calls):
        try:
            search(channel, metadata=bearer(token) if token else ())
            counts["OK"] += 1
        except grpc.RpcError as error:
            counts[error.code().name] += 1
    return counts


def details(error: Any) -> tuple[str, float]:
    """(reason, seconds until a retry is worth it)."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    return info.reason, retry.retry_delay.ToTimedelta().total_seconds()


def test_tenant_over_its_rate_is_refused_with_retry_info(limited: Edge, issuer: Issuer) -> None:
    with grpc.insecure_channel(limited.address) as channel:
        counts = outcomes(channel, 30, issuer.token("noisy"))
        error = refusal(channel, metadata=bearer(issuer.token("noisy")))

    assert 5 <= counts["OK"] <= 15  # the burst, and what came back meanwhile
    assert counts["OK"] + counts["RESOURCE_EXHAUSTED"] == 30
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details(error) == ("RATE_LIMITED", 1)
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"


def test_a_noisy_tenant_takes_nothing_from_others(limited: Edge, issuer: Issuer) -> None:
    with grpc.insecure_channel(limited.address) as channel:
        noisy = outcomes(channel, 30, issuer.token("loud"))
        named = outcomes(channel, 100, issuer.token("acme"))
        other = outcomes(channel, 5, issuer.token("quiet"))

    assert noisy["RESOURCE_EXHAUSTED"]
    assert named == {"OK": 100}  # has a limit of its own
    assert other == {"OK": 5}


def test_quota_of_a_day_is_refused_with_its_own_reason(limited: Edge, issuer: Issuer) -> None:
    with grpc.insecure_channel(limited.address) as channel:
        counts = outcomes(channel, 5, issuer.token("daily"))
        error = refusal(channel, metadata=bearer(issuer.token("daily")))

    assert counts == {"OK": 3, "RESOURCE_EXHAUSTED": 2}
    assert details(error) == ("QUOTA_EXCEEDED", 3600)


def test_limit_by_client_certificate(tmp_path: Path, gateways: list[Backend]) -> None:
    authority = Authority()
    write_pair(tmp_path / "tls", authority.issue("edge"))
    (tmp_path / "tls" / "ca.crt").write_bytes(authority.pem)
    limits = '[limits]\nby = "certificate"\neach = {per_s = 2, burst = 2}\ntenants."CN=big" = {per_s = 1000}\n'
    with edge(tmp_path, gateways, TLS + 'client_ca = "tls/ca.crt"\n' + limits) as running:
        with secure(running, authority, authority.issue("big")) as channel:
            assert outcomes(channel, 50) == {"OK": 50}
        with secure(running, authority, authority.issue("small")) as channel:
            assert outcomes(channel, 20)["RESOURCE_EXHAUSTED"] >= 10


def test_limit_by_address_and_of_all(tmp_path: Path, gateways: list[Backend]) -> None:
    for limit in ("each = {per_s = 2, burst = 2}", "total_per_s = 1"):
        with (
            edge(tmp_path, gateways, f"[limits]\n{limit}\n") as running,
            grpc.insecure_channel(running.address) as all_of,
        ):
            assert outcomes(all_of, 20)["RESOURCE_EXHAUSTED"] >= 10


def test_request_over_the_gateways_size_is_refused(tmp_path: Path, gateways: list[Backend]) -> None:
    with edge(tmp_path, gateways) as running, grpc.insecure_channel(running.address) as channel:
        stub: Any = search_pb2_grpc.SearchServiceStub(channel)
        stub.Search(search_pb2.SearchRequest(query_image=bytes(2 << 20)), timeout=TIMEOUT_S)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Search(search_pb2.SearchRequest(query_image=bytes(4 << 20)), timeout=TIMEOUT_S)

    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "too large" in caught.value.details()


def test_calls_on_one_connection_are_capped(tmp_path: Path, gateways: list[Backend]) -> None:
    """A third slow call waits in the client until one of two has its answer."""
    with edge(tmp_path, gateways, "listener.max_streams = 2\n") as running:
        with grpc.insecure_channel(running.address) as channel, ThreadPoolExecutor(3) as pool:
            search(channel)
            started = time.monotonic()
            list(pool.map(lambda _: search(channel, "slow"), range(3)))

        assert time.monotonic() - started >= 2 * SLOW_S


def test_connections_are_capped(tmp_path: Path, gateways: list[Backend]) -> None:
    with edge(tmp_path, gateways, "listener.max_connections = 2\n") as running:
        opened = [socket.create_connection(("127.0.0.1", running.envoy.port)) for _ in range(3)]
        opened[2].settimeout(TIMEOUT_S)

        assert opened[2].recv(1) == b""  # closed at once
        for one in opened:
            one.close()
        wait_until(lambda: answers(running))


def answers(running: Edge) -> bool:
    with grpc.insecure_channel(running.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        return outcomes(channel, 1) == {"OK": 1}


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header_block() -> bytes:
    """POST, http, the path of a search and an authority, without indexing."""
    path = b"/shopfuse.v1.SearchService/Search"
    return b"\x83\x86\x04" + bytes([len(path)]) + path + b"\x01\x04edge"


def give_up_calls(port: int, calls: int) -> bytes:
    """Opens calls and resets each at once, all on one connection; gives what came back until its end."""
    received = b""
    with socket.create_connection(("127.0.0.1", port)) as attacker:
        attacker.settimeout(TIMEOUT_S)
        attacker.sendall(PREFACE + frame(SETTINGS_FRAME, 0))
        with suppress(ConnectionError):  # closed while we are still sending
            for number in range(1, 2 * calls, 2):
                opened = frame(HEADERS_FRAME, number, header_block(), flags=END_HEADERS)
                attacker.sendall(opened + frame(RESET_FRAME, number, struct.pack(">I", CANCEL)))
            while data := attacker.recv(1 << 16):
                received += data
    return received


def test_calls_that_are_only_given_up_close_the_connection(tmp_path: Path, gateways: list[Backend]) -> None:
    with edge(tmp_path, gateways, "listener.max_resets = 20\n") as running:
        give_up_calls(running.envoy.port, 1000)

        assert running.counter("envoy_http_downstream_rq_too_many_premature_resets", "clients") == 1
        assert running.counter("envoy_http_downstream_rq_total", "clients") < 1000
        assert answers(running)


def test_memory_has_an_end(tmp_path: Path, gateways: list[Backend]) -> None:
    """Requests that never end hold more than Envoy may use: it refuses others, lives, and answers afterwards."""
    begun = (
        b"POST /v1/search HTTP/1.1\r\nhost: edge\r\ncontent-type: application/json\r\ncontent-length: 4000000\r\n\r\n"
    )
    begun += b'{"query_image": "' + b"A" * (2 << 20)
    with edge(tmp_path, gateways, "process.max_heap_mb = 64\nlistener.max_request_s = 60.0\n") as running:
        opened = [socket.create_connection(("127.0.0.1", running.envoy.port)) for _ in range(40)]
        with suppress(ConnectionError, TimeoutError):  # the last ones may be refused
            for one in opened:
                one.settimeout(0.5)
                one.sendall(begun)
        wait_until(lambda: not answers(running))
        for one in opened:
            one.close()
        wait_until(lambda: answers(running))
