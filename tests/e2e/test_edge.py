"""A real Envoy before the real gateway: the same answer by gRPC, by grpc-web and as JSON, and the example as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from shopfuse.local.client import Client, connect
from shopfuse.local.stack import Stack
from shopfuse.v1 import search_pb2_grpc
from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from tests.architecture.house import ROOT
from tests.edge.edges import Backend, Edge, edge, free_port, settings_toml
from tests.edge.test_web import grpc_web, post_json
from tests.waiting import wait_until

TIMEOUT_S = 10.0
QUERY = "boots"


@pytest.fixture(scope="module")
def shop_edge(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    gateway = Backend("gateway", int(stack.endpoints.grpc.rpartition(":")[2]), stack.gateway)
    with edge(tmp_path_factory.mktemp("edge"), [gateway]) as running:
        yield running


def ids(response: SearchResponse) -> list[str]:
    return [item.item_id for item in response.items]


def test_the_answer_is_the_same_by_every_protocol(shop_edge: Edge, client: Client) -> None:
    request = SearchRequest(query=QUERY, page_size=5)
    direct = client.searches.Search(request, timeout=TIMEOUT_S)
    with connect(shop_edge.address) as through:
        by_grpc = through.searches.Search(request, timeout=TIMEOUT_S)
    by_web = SearchResponse.FromString(grpc_web(shop_edge, request)[0])
    code, by_json = post_json(shop_edge, "/v1/search", {"query": QUERY, "page_size": 5})

    assert ids(direct)
    assert ids(direct) == ids(by_grpc) == ids(by_web) == [item["item_id"] for item in by_json["items"]]
    assert code == 200
    assert by_json["served_by"] == MessageToDict(
        direct.served_by, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def test_the_gateways_field_violations_arrive_as_json(shop_edge: Edge) -> None:
    code, error = post_json(shop_edge, "/v1/search", {"query": QUERY, "page_size": -1})

    assert code == 400
    assert error["details"][0]["reason"] == "INVALID_REQUEST"
    assert error["details"][1]["field_violations"][0]["field"] == "page_size"


def test_example_in_curl_prints_answers(shop_edge: Edge) -> None:
    command = ["sh", str(ROOT / "examples" / "http" / "ask.sh"), shop_edge.url, QUERY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(answer["items"]) for answer in answers] == [3, 3, 3]
    assert all(item["price"] <= 100 for item in answers[1]["items"])


def test_command_runs_envoy_before_the_served_shop(found_stack: Stack, tmp_path: Path) -> None:
    """Its address takes the place of the settings' gateways."""
    port = free_port()
    settings = tmp_path / "edge.toml"
    settings.write_text(settings_toml(tmp_path, ["nowhere:1"], [port, free_port(), free_port(), 0], ""))
    command = [sys.executable, "-m", "shopfuse", "edge", "serve", str(settings), "-w", str(found_stack.workspace)]
    process = subprocess.Popen([*command, "--drain-s", "0"], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: _answers(f"127.0.0.1:{port}"))
    finally:
        process.terminate()

    assert process.wait() == 0


def _answers(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            search_pb2_grpc.SearchServiceStub(channel).Search(SearchRequest(query=QUERY), timeout=TIMEOUT_S)
        except grpc.RpcError:
            return False
        return True
