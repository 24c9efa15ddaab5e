"""The gateway installed by itself, as on a server: it brings no training library, and serves the shop all the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shopfuse.local.client import Client, call, connect
from shopfuse.local.stack import Stack
from shopfuse.v1.recommendation_pb2 import RankItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest
from tests.architecture.house import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(900)  # pip may have to fetch every dependency
TIMEOUT_S = 10.0
STOPS_WITHIN_S = 60.0
OFFLINE = {"torch", "transformers", "polars", "onnx", "onnxruntime"}
# What would lead pip or Python to this checkout's own environment.
OURS = ("SHOPFUSE_CORE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OURS}


def run(*command: str | Path, cwd: Path) -> str:
    """What the command prints; where it fails, the test fails with that."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with nothing but the gateway and what it needs."""
    folder = tmp_path_factory.mktemp("alone")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    scripts = folder / "venv" / "bin"
    run(scripts / "python", "-m", "pip", "install", "--disable-pip-version-check", ROOT / "gateway", cwd=folder)
    return scripts


@contextmanager
def served_alone(installed: Path, stack: Stack, ready: Path) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """A gateway of the installed script beside the shop's own, on the same workspace and Triton."""
    command = (
        *(installed / "shopfuse-gateway", "--workspace", stack.workspace, "--triton", stack.endpoints.triton_grpc),
        *("--ready-file", ready, "--drain-s", "0.1", "--no-log-impressions"),
    )
    with subprocess.Popen(command, cwd=ready.parent, env=clean_environment()) as process:
        try:
            wait_until(lambda: ready.exists() or process.poll() is not None, within_s=60.0)
            assert process.poll() is None, f"it ended with code {process.returncode}"
            with connect(f"127.0.0.1:{json.loads(ready.read_text())['grpc']}") as client:
                yield process, client
        finally:
            process.kill()


def test_it_brings_no_library_of_training_or_export(installed: Path) -> None:
    listed = run(
        installed / "python", "-m", "pip", "list", "--format", "json", "--disable-pip-version-check", cwd=installed
    )
    names = {package["name"] for package in json.loads(listed)}

    assert {"shopfuse", "shopfuse-gateway"} <= names
    assert not names & OFFLINE


def test_commands_that_need_more_say_so_in_one_line(installed: Path) -> None:
    done = subprocess.run(
        [installed / "shopfuse", "build"], env=clean_environment(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is not installed here: pip install" in done.stderr


def test_it_answers_as_the_gateway_of_this_environment(
    installed: Path, stack: Stack, client: Client, item_ids: list[str], users: list[str], tmp_path: Path
) -> None:
    search = SearchRequest(query="red shoes", user_id=users[0])
    rank = RankItemsRequest(item_ids=item_ids[:50], user_id=users[0])
    with served_alone(installed, stack, tmp_path / "ready.json") as (process, alone):
        answers = answered(alone, search, rank)
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOPS_WITHIN_S)

    assert answers == answered(client, search, rank)
    assert code == 0


def answered(client: Client, search: SearchRequest, rank: RankItemsRequest) -> list[list[str]]:
    """The items of both answers, in order."""
    answers = (
        call(client.searches.Search, search, TIMEOUT_S),
        call(client.recommendations.RankItems, rank, TIMEOUT_S),
    )
    assert not any(answer.degraded for answer in answers), answers
    assert all(answer.items for answer in answers)
    return [[item.item_id for item in answer.items] for answer in answers]
