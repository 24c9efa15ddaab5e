"""Two Tritons and two gateways follow a server that speaks S3, behind an edge, under steady load."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from shopfuse.core.progress import silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.loadtest.fleet import roll_fleet
from shopfuse.local.fleet import FleetError
from shopfuse.ranking.text_heads import HEADS
from shopfuse.release.channels import Channels
from shopfuse.release_store.pointers import move_pointers
from shopfuse.release_store.store import ReleaseStore
from shopfuse_exporters.build import BuildOptions, build_workspace
from shopfuse_exporters.precision.precisions import Precisions
from tests.edge.secured import secured
from tests.release_store.s3_server import BUCKET, s3_server


@pytest.mark.slow
@pytest.mark.timeout(900)  # no claim about speed: it ends a test whose fleet never follows
def test_rolling_releases_and_killing_servers_fails_and_mixes_no_answer(workspace_copy: Path, tmp_path: Path) -> None:
    for head in HEADS:  # they were trained on the text encoder as it was, so the second release has none
        shutil.rmtree(workspace_copy / "checkpoints" / head, ignore_errors=True)
    options = BuildOptions(train=False, seed=1, precisions=Precisions("fp32", {"text_encoder": "int8"}))
    second = build_workspace(Workspace.open(workspace_copy), options, silent).release_id
    with s3_server():
        rows = roll_fleet(
            workspace_copy,
            f"s3://{BUCKET}/shop",
            ("r1", second),
            rate=15.0,
            seconds=6.0,
            edge=partial(secured, tmp_path / "edge"),
        )

    assert [row["name"] for row in rows] == [
        *("push the files", "publish", "roll back", "canary", "promote", "roll back again"),
        *("kill a Triton", "kill a gateway"),
    ]
    for row in rows:
        assert (row["errors"], row["mixed"]) == (0, 0), row
    answers = {str(row["name"]): str(row["answers"]) for row in rows}
    assert answers["push the files"].startswith("r1 ") and "," not in answers["push the files"]
    for name in ("publish", "roll back", "promote", "roll back again"):
        assert "r1 " in answers[name] and f"{second} " in answers[name], answers
    for name in ("kill a Triton", "kill a gateway"):
        assert answers[name].startswith("r1 ") and "," not in answers[name], answers


def test_a_store_that_is_in_use_is_left_alone(workspace_copy: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'store'}"
    move_pointers(workspace_copy, ReleaseStore.open(url), Channels(stable="r7"))

    with pytest.raises(FleetError, match="this store is in use"):
        roll_fleet(workspace_copy, url, ("r1", "r2"), rate=1.0, seconds=1.0)
