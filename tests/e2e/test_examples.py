"""The example clients as a reader runs them, against the served shop: they print what the gateway answers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shopfuse.datasets.workspace import Workspace
from shopfuse.local.client import Client, call
from shopfuse.local.stack import Stack
from shopfuse.v1.completion_pb2 import COMPLETION_KIND_QUERY, CompleteQueryRequest
from shopfuse.v1.search_pb2 import SearchRequest
from tests.debian import program
from tests.edge.edges import Backend, edge

EXAMPLES = Path(__file__).parents[2] / "examples"
NODE = EXAMPLES / "node"
PYTHON_CLIENT = [sys.executable, str(EXAMPLES / "python" / "client.py")]
NODE_CLIENT = ["node", str(NODE / "client.js")]
CLIENTS = pytest.mark.parametrize("example", [PYTHON_CLIENT, NODE_CLIENT], ids=["python", "node"])
QUERY = "boots"


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    """What examples/node/README.md says to install."""
    command = ["npm", "install", "--silent", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=NODE, check=True)


def run(command: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)


def printed_ids(text: str) -> list[str]:
    """The item ids in a list, in order."""
    return [found for line in text.splitlines()[1:] for found in re.findall(r"item-\d+", line)[:1]]


def found_ids(client: Client, user: str = "") -> list[str]:
    answer = call(client.searches.Search, SearchRequest(query=QUERY, user_id=user, page_size=5), 10.0)
    return [item.item_id for item in answer.items]


@CLIENTS
def test_client_prints_the_four_lists_of_a_served_workspace(
    example: list[str], found_stack: Stack, shop: Workspace, client: Client, users: list[str]
) -> None:
    expected = found_ids(client, users[0])

    result = run(example, str(shop.root), QUERY, users[0])

    assert result.returncode == 0, result.stderr
    blocks = dict(zip(("search", "recommend", "like", "rank"), split_lists(result.stdout), strict=True))
    assert all(block.startswith(name) and "release r1" in block for name, block in blocks.items())
    assert printed_ids(blocks["search"]) == expected
    assert len(printed_ids(blocks["recommend"])) == len(printed_ids(blocks["like"])) == 5
    assert sorted(printed_ids(blocks["rank"])) == sorted(expected)


def split_lists(output: str) -> list[str]:
    return [block for block in re.split(r"^(?=search |recommend |like |rank )", output, flags=re.MULTILINE) if block]


@CLIENTS
def test_client_takes_an_address(example: list[str], stack: Stack, client: Client) -> None:
    result = run(example, stack.endpoints.grpc, QUERY)

    assert result.returncode == 0, result.stderr
    assert printed_ids(split_lists(result.stdout)[0]) == found_ids(client)


@CLIENTS
def test_client_says_in_one_line_why_it_was_refused(example: list[str], stack: Stack) -> None:
    result = run(example, stack.endpoints.grpc, "")

    assert result.returncode == 1
    assert result.stderr.startswith("INVALID_ARGUMENT: ")
    assert len(result.stderr.splitlines()) == 1


def test_quickstart_prints_what_search_finds(found_stack: Stack, shop: Workspace, client: Client) -> None:
    result = run([sys.executable, str(EXAMPLES / "quickstart.py")], str(shop.root))

    assert result.returncode == 0, result.stderr
    assert re.findall(r"item-\d+", result.stdout) == found_ids(client)


JAVA = EXAMPLES / "java"


@pytest.fixture(scope="module")
def java_packages() -> None:
    """What examples/java/README.md says to install."""
    (packages,) = re.findall(r"apt-get install ((?:[^\n]*\\\n)*[^\n]*)", (JAVA / "README.md").read_text())
    names = packages.replace("\\\n", " ")
    for needed in ("javac", "protoc", "grpc_java_plugin"):
        program(needed, names)


@pytest.mark.timeout(600)  # Debian's packages may have to be fetched
def test_client_in_java_is_made_from_the_protos_and_completes_and_searches(
    java_packages: None, stack: Stack, client: Client
) -> None:
    shutil.rmtree(JAVA / "build", ignore_errors=True)
    completed = call(client.completions.CompleteQuery, CompleteQueryRequest(prefix="bo", max_completions=5), 10.0)
    texts = [one.text for one in completed.completions]

    result = run(["sh", str(JAVA / "run.sh")], stack.endpoints.grpc, "bo")
    refused = run(["sh", str(JAVA / "run.sh")], stack.endpoints.grpc, "")

    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.rpartition(" (")[0] for line in lines[: len(texts)]] == texts
    assert lines[len(texts)] == f"search '{texts[0]}'"
    assert len(re.findall(r"^item-\d+", result.stdout, flags=re.MULTILINE)) == 5
    assert refused.returncode == 1
    assert refused.stderr.startswith("INVALID_ARGUMENT: prefix: ")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def origin() -> Iterator[str]:
    """Of a server of the checkout's files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(EXAMPLES.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.timeout(300)  # Debian's package may have to be fetched
def test_page_in_a_browser_completes_and_searches_by_grpc_web(
    origin: str, stack: Stack, client: Client, tmp_path: Path
) -> None:
    command = ["npm", "install", "--silent", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=EXAMPLES / "web", check=True)
    gateway = Backend("gateway", int(stack.endpoints.grpc.rpartition(":")[2]), stack.gateway)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=20000"]
    browser = [program("chromium", "chromium"), *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    request = CompleteQueryRequest(prefix=QUERY, max_completions=5, kinds=[COMPLETION_KIND_QUERY])
    texts = [one.text for one in call(client.completions.CompleteQuery, request, 10.0).completions]

    with edge(tmp_path, [gateway], f'[web]\norigins = ["{origin}"]\n') as running:
        shown = run(browser, f"{origin}/examples/web/?edge={running.url}&typed={QUERY}").stdout
        empty = run(browser, f"{origin}/examples/web/?edge={running.url}&typed=").stdout

    assert re.findall(r'<option value="([^"]*)"', shown) == texts
    assert re.findall(r"<li>(item-\d+)", shown) == found_ids(client)
    assert "status 3" in empty
