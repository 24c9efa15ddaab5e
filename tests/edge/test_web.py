"""Browsers and whoever speaks JSON: the same answers and the same errors as over gRPC."""

from __future__ import annotations

import base64
import http.client
import json
import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import grpc
import pytest

from shopfuse.v1 import search_pb2
from tests.edge.edges import TIMEOUT_S, Backend, Edge, edge, search
from tests.edge.identities import Issuer, write_keys
from tests.edge.test_clients import JWT

ORIGIN = "https://shop.example"
PATH = "/shopfuse.v1.SearchService/Search"
TRAILERS = 0x80


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, gateways: list[Backend]) -> Iterator[Edge]:
    with edge(tmp_path_factory.mktemp("web"), gateways[:1], f'[web]\norigins = ["{ORIGIN}"]\n') as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, gateways: list[Backend]) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "jwks").mkdir()
    write_keys(folder / "jwks" / "jwks.json", Issuer())
    extra = f'{JWT}[web]\norigins = ["{ORIGIN}"]\n'
    with edge(folder, gateways[:1], extra) as running:
        yield running


def request(edge: Edge, method: str, path: str, body: bytes = b"", /, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(edge.address, timeout=TIMEOUT_S)
    connection.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
    return connection.getresponse()


def post_json(edge: Edge, path: str, body: object) -> tuple[int, dict[str, Any]]:
    """As a shell does it, by curl."""
    command = ["curl", "--silent", "--max-time", "5", "--write-out", "\n%{http_code}", "--json", json.dumps(body)]
    done = subprocess.run([*command, f"{edge.url}{path}"], capture_output=True, text=True, check=True)
    text, _, code = done.stdout.rpartition("\n")
    return int(code), json.loads(text)


def grpc_web(edge: Edge, message: search_pb2.SearchRequest, text: bool = False) -> tuple[bytes, dict[str, str]]:
    """(message, trailers) of a call as a browser makes it: frames in the body, trailers in the last one."""
    body = b"\0" + struct.pack(">I", message.ByteSize()) + message.SerializeToString()
    kind = "application/grpc-web-text" if text else "application/grpc-web+proto"
    response = request(
        edge,
        "POST",
        PATH,
        base64.b64encode(body) if text else body,
        content_type=kind,
        accept=kind,
        x_grpc_web="1",
        origin=ORIGIN,
    )
    data = response.read()
    assert response.status == 200
    if response.getheader("grpc-status"):  # an error without a body
        return b"", {"grpc-status": str(response.getheader("grpc-status"))}
    # Each frame is encoded for itself, and ends in padding of its own.
    return unframed(b"".join(map(base64.b64decode, re.findall(rb"[^=]+=*", data))) if text else data)


def unframed(data: bytes) -> tuple[bytes, dict[str, str]]:
    message, trailers = b"", {}
    while data:
        flags, length = data[0], struct.unpack(">I", data[1:5])[0]
        part, data = data[5 : 5 + length], data[5 + length :]
        if flags & TRAILERS:
            trailers = dict(line.split(":", 1) for line in part.decode().splitlines())
        else:
            message = part
    return message, {name: value.strip() for name, value in trailers.items()}


@pytest.mark.parametrize("text", [False, True])
def test_grpc_web_gives_what_grpc_gives(web: Edge, text: bool) -> None:
    message, trailers = grpc_web(web, search_pb2.SearchRequest(query="shoes"), text)
    with grpc.insecure_channel(web.address) as channel:
        assert search_pb2.SearchResponse.FromString(message).request_id == search(channel).request_id == "one"

    assert trailers["grpc-status"] == "0"


def test_grpc_web_tells_errors_with_their_details(web: Edge) -> None:
    _, trailers = grpc_web(web, search_pb2.SearchRequest(query="invalid"))

    assert trailers["grpc-status"] == "3"


def test_browsers_of_the_shop_may_call_and_others_may_not(guarded: Edge) -> None:
    """The question before the call comes without a token."""
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "content-type,authorization"}
    allowed = request(guarded, "OPTIONS", PATH, b"", origin=ORIGIN, **asked)
    refused = request(guarded, "OPTIONS", PATH, b"", origin="https://evil.example", **asked)

    assert allowed.status == 200
    assert allowed.getheader("access-control-allow-origin") == ORIGIN
    assert "authorization" in str(allowed.getheader("access-control-allow-headers"))
    assert refused.getheader("access-control-allow-origin") is None
    assert refused.status == 401


def test_json_gives_what_grpc_gives(web: Edge) -> None:
    code, by_post = post_json(web, "/v1/search", {"query": "shoes"})
    by_get = json.load(request(web, "GET", f"/v1/search?{urlencode({'query': 'shoes', 'filter.max_price': 80})}"))

    assert code == 200
    assert by_post["request_id"] == by_get["request_id"] == "one"
    assert by_post["degraded"] is False  # what is not set is said, too
    assert by_post["items"][0]["item_id"] == "time-left"


def test_json_errors_carry_the_gateways_details(web: Edge) -> None:
    code, error = post_json(web, "/v1/search", {"query": "invalid"})

    assert code == 400
    assert error["message"] == "query: too odd"
    assert error["details"][0]["reason"] == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/search", {"page_size": "many"}), ("/v1/search", []), ("/v1/search?x=1", {"query": "shoes"})],
)
def test_json_that_is_no_request_is_refused(web: Edge, path: str, body: object) -> None:
    command = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--json", json.dumps(body)]
    done = subprocess.run([*command, f"{web.url}{path}"], capture_output=True, text=True, check=True)

    assert done.stdout == "400"


def test_json_without_a_token_is_401_with_details(guarded: Edge) -> None:
    code, error = post_json(guarded, "/v1/search", {"query": "shoes"})

    assert code == 401
    assert error["code"] == 16
    assert error["details"][0]["reason"] == "UNAUTHENTICATED"


def test_json_over_the_rate_is_429_with_retry_info(tmp_path: Path, gateways: list[Backend]) -> None:
    with edge(tmp_path, gateways[:1], "[limits]\neach = {per_s = 1, burst = 1}\n") as running:
        answers = [post_json(running, "/v1/search", {"query": "shoes"}) for _ in range(5)]
        response = request(running, "GET", "/v1/search?query=shoes")

    code, error = answers[-1]
    assert code == 429
    assert [detail["@type"].rpartition(".")[2] for detail in error["details"]] == ["ErrorInfo", "RetryInfo"]
    assert response.getheader("retry-after") == "1"


def test_json_too_large_is_refused(web: Edge) -> None:
    image = base64.b64encode(bytes(8 << 20)).decode()
    response = request(
        web, "POST", "/v1/search", json.dumps({"query_image": image}).encode(), content_type="application/json"
    )

    assert response.status in (413, 429)


def test_health_reflection_and_unknown_paths_stay_inside(web: Edge) -> None:
    for path in ("/grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "/"):
        assert request(web, "POST", path).status == 404


def test_queries_stay_out_of_the_access_log(web: Edge) -> None:
    request(web, "GET", "/v1/search?query=secretword").read()
    request(web, "GET", "/v1/items/i1/similar-items?user_id=secretuser").read()
    text = (web.folder / "access.log").read_text()

    assert "secret" not in text
