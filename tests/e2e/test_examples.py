"""The example clients as a reader runs them, against the served shop: they print what the gateway answers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from shopfuse.datasets.workspace import Workspace
from shopfuse.local.client import Client, call
from shopfuse.local.stack import Stack
from shopfuse.v1.search_pb2 import SearchRequest

EXAMPLES = Path(__file__).parents[2] / "examples"
NODE = EXAMPLES / "node"
PYTHON_CLIENT = [sys.executable, str(EXAMPLES / "python" / "client.py")]
NODE_CLIENT = ["node", str(NODE / "client.js")]
CLIENTS = pytest.mark.parametrize("program", [PYTHON_CLIENT, NODE_CLIENT], ids=["python", "node"])
QUERY = "boots"


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    """What examples/node/README.md says to install."""
    command = ["npm", "install", "--silent", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=NODE, check=True)


def run(program: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*program, *arguments], capture_output=True, text=True, check=False, timeout=60)


def printed_ids(text: str) -> list[str]:
    """The item ids in a list, in order."""
    return [found for line in text.splitlines()[1:] for found in re.findall(r"item-\d+", line)[:1]]


def found_ids(client: Client, user: str = "") -> list[str]:
    answer = call(client.searches.Search, SearchRequest(query=QUERY, user_id=user, page_size=5), 10.0)
    return [item.item_id for item in answer.items]


@CLIENTS
def test_client_prints_the_four_lists_of_a_served_workspace(
    program: list[str], found_stack: Stack, shop: Workspace, client: Client, users: list[str]
) -> None:
    expected = found_ids(client, users[0])

    result = run(program, str(shop.root), QUERY, users[0])

    assert result.returncode == 0, result.stderr
    blocks = dict(zip(("search", "recommend", "like", "rank"), split_lists(result.stdout), strict=True))
    assert all(block.startswith(name) and "release r1" in block for name, block in blocks.items())
    assert printed_ids(blocks["search"]) == expected
    assert len(printed_ids(blocks["recommend"])) == len(printed_ids(blocks["like"])) == 5
    assert sorted(printed_ids(blocks["rank"])) == sorted(expected)


def split_lists(output: str) -> list[str]:
    return [block for block in re.split(r"^(?=search |recommend |like |rank )", output, flags=re.MULTILINE) if block]


@CLIENTS
def test_client_takes_an_address(program: list[str], stack: Stack, client: Client) -> None:
    result = run(program, stack.endpoints.grpc, QUERY)

    assert result.returncode == 0, result.stderr
    assert printed_ids(split_lists(result.stdout)[0]) == found_ids(client)


@CLIENTS
def test_client_says_in_one_line_why_it_was_refused(program: list[str], stack: Stack) -> None:
    result = run(program, stack.endpoints.grpc, "")

    assert result.returncode == 1
    assert result.stderr.startswith("INVALID_ARGUMENT: ")
    assert len(result.stderr.splitlines()) == 1


def test_quickstart_prints_what_search_finds(found_stack: Stack, shop: Workspace, client: Client) -> None:
    result = run([sys.executable, str(EXAMPLES / "quickstart.py")], str(shop.root))

    assert result.returncode == 0, result.stderr
    assert re.findall(r"item-\d+", result.stdout) == found_ids(client)
