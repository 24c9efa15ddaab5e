"""Parts fail: Triton killed under load, files lost. Answers are degraded and in time, or the refusal is clear."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.workspace import Workspace
from shopfuse.loadtest.closed_loop import Load, load_in_background
from shopfuse.local.client import call, connect
from shopfuse.local.stack import Stack, StackError, StackOptions, local_stack, stable_release
from shopfuse.release.manifest import ReleaseError
from shopfuse.v1.recommendation_pb2 import RecommendRequest
from tests.waiting import wait_until

METHOD = "/shopfuse.v1.RecommendationService/Recommend"
# Answers take hundredths of a second where nothing else runs. A call that takes as long as this is an error.
TIMEOUT_S = 5.0


def wait_until_whole(stack: Stack, user: str) -> None:
    """Until an answer is not degraded."""
    request = RecommendRequest(user_id=user)
    with connect(stack.endpoints.grpc) as client:
        wait_until(lambda: not call(client.recommendations.Recommend, request, TIMEOUT_S).degraded)


def test_killing_triton_under_load_costs_no_request_and_full_answers_return(shop: Workspace, users: list[str]) -> None:
    with local_stack(shop.root, StackOptions(log_impressions=False)) as stack:
        triton = stack.triton
        assert triton is not None
        requests = tuple(RecommendRequest(user_id=user).SerializeToString() for user in users[:20])
        load = Load(stack.endpoints.grpc, METHOD, requests, clients=4, seconds=5.0, warm_up_s=1.0, timeout_s=TIMEOUT_S)
        with connect(stack.endpoints.grpc) as client, load_in_background(load) as result:
            os.kill(triton.pid, signal.SIGKILL)
            wait_until(lambda: not triton.alive)
            degraded = call(client.recommendations.Recommend, RecommendRequest(user_id=users[0]), TIMEOUT_S)
            stack.restart_triton()
            wait_until_whole(stack, users[0])
            outcome = result.result()

        assert degraded.items
        assert degraded.degraded
        assert outcome.errors == {}
        assert len(outcome.latencies_s) > 20


def test_a_dead_triton_is_started_again_by_the_supervisor(shop: Workspace, users: list[str]) -> None:
    with local_stack(shop.root, StackOptions(log_impressions=False)) as stack:
        triton = stack.triton
        assert triton is not None
        supervisor = threading.Thread(target=stack.supervise, daemon=True)
        supervisor.start()
        first = triton.pid
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: triton.alive and triton.pid != first, within_s=60.0)
        wait_until_whole(stack, users[0])

        stack.gateway.terminate()
        supervisor.join(timeout=60.0)
        assert not supervisor.is_alive()


@pytest.mark.parametrize(
    "damage",
    ["truncate an index", "lose a model file", "lose an ensemble", "change one byte of the vectors"],
)
def test_a_damaged_release_is_refused_by_name(workspace_copy: Path, damage: str) -> None:
    release = workspace_copy / "releases" / "r1"
    victim = {
        "truncate an index": next((release / "indexes").glob("*.npy")),
        "lose a model file": next((release / "models" / "fusion_ranker").rglob("model.onnx")),
        "lose an ensemble": release / "models" / "rank_r1" / "config.pbtxt",
        "change one byte of the vectors": release / "items" / "item_vectors.npy",
    }[damage]
    content = bytearray(victim.read_bytes())
    if damage.startswith("lose"):
        victim.unlink()
    elif damage == "truncate an index":
        victim.write_bytes(content[: len(content) // 2])
    else:
        content[-1] ^= 1
        victim.write_bytes(content)

    with pytest.raises(ReleaseError, match=victim.name), local_stack(workspace_copy):
        pytest.fail("a damaged release was served")


def test_a_release_without_manifest_is_refused(workspace_copy: Path) -> None:
    (workspace_copy / "releases" / "r1" / "manifest.json").unlink()

    with pytest.raises(ReleaseError, match=r"manifest\.json"):
        stable_release(workspace_copy)


def test_a_workspace_without_release_says_what_to_do(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "shop")

    with pytest.raises(StackError, match="shopfuse build"), local_stack(tmp_path / "shop"):
        pytest.fail("nothing was released")


def test_without_the_feature_store_answers_are_degraded_not_lost(workspace_copy: Path, users: list[str]) -> None:
    (workspace_copy / "state" / "store.lmdb").unlink()

    with local_stack(workspace_copy) as stack, connect(stack.endpoints.grpc) as client:
        answer = call(client.recommendations.Recommend, RecommendRequest(user_id=users[0]), 5.0)

    assert len(answer.items) == 20
    assert "features" in {gap.stage for gap in answer.degradations}


def test_a_second_gateway_on_the_same_port_is_refused(stack: Stack, workspace_copy: Path) -> None:
    port = int(stack.endpoints.grpc.rpartition(":")[2])
    options = StackOptions(grpc_port=port, triton=stack.endpoints.triton_grpc)

    with pytest.raises(ShopfuseError, match="grpc_port"), local_stack(workspace_copy, options):
        pytest.fail("two gateways on one port")


def test_nothing_is_left_behind(workspace_copy: Path) -> None:
    with local_stack(workspace_copy) as stack:
        assert stack.triton is not None
        pids = [stack.triton.pid, stack.gateway.pid]
        maps = Path(f"/proc/{stack.triton.pid}/maps").read_text().splitlines()
        regions = {Path(line.split()[-1]) for line in maps if "/dev/shm/shopfuse-" in line}

    assert regions
    assert not any(region.exists() for region in regions)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not (workspace_copy / "run" / "endpoints.json").exists()
