"""The program as a user runs it: commands, tables, JSON, exit codes and one-line errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shopfuse.datasets.workspace import Workspace
from shopfuse.local.stack import Stack


def shopfuse(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from shopfuse.cli.main import main; main()"]
    return subprocess.run([*program, *arguments], capture_output=True, text=True, check=False, timeout=300)


def document(result: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert result.returncode == 0, result.stderr
    parsed: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return parsed


@pytest.mark.parametrize(
    "command", [[], ["import"], ["build"], ["serve"], ["search"], ["evaluate"], ["release"], ["bench"]]
)
def test_every_command_says_how_it_is_used(command: list[str]) -> None:
    result = shopfuse(*command, "--help")

    assert result.returncode == 0
    assert "Usage" in result.stdout


def test_clients_print_tables_and_json(
    found_stack: Stack, shop: Workspace, users: list[str], item_ids: list[str]
) -> None:
    workspace = str(shop.root)
    table = shopfuse("recommend", "-w", workspace, "--user", users[0], "-n", "3")
    searched = document(shopfuse("search", "sofa", "-w", workspace, "--json"))
    similar = document(shopfuse("similar", item_ids[0], "-w", workspace, "--json"))
    ranked = document(shopfuse("rank", *item_ids[:5], "-w", workspace, "--user", users[0], "--json"))

    assert table.returncode == 0
    assert "recommend for" in table.stdout
    assert searched["served_by"] == similar["served_by"] == ranked["served_by"]
    assert len(ranked["items"]) == 5  # type: ignore[arg-type]


def test_evaluations_have_the_rows_that_scripts_rely_on(found_stack: Stack, shop: Workspace) -> None:
    workspace = str(shop.root)
    search = document(shopfuse("evaluate", "search", "-j", str(shop.paths.search_truth), "-w", workspace, "--json"))
    recommend = document(
        shopfuse("evaluate", "recommend", "-j", str(shop.paths.recommend_truth), "-w", workspace, "--json")
    )

    rows: dict[str, dict[str, float]] = search["rows"]  # type: ignore[assignment]
    assert set(rows) == {"served", "bm25", "semantic", "weighted", "vote", "softmax"}
    assert set(rows["served"]) >= {"ndcg@10", "ndcg@10_condensed", "recall@100", "mrr", "unjudged@10", "queries"}
    assert rows["served"]["ndcg@10"] > 0.1
    assert search["release_id"] == "r1"
    assert set(recommend["rows"]) == {"served", "popularity", "item_knn", "content"}  # type: ignore[call-overload]


def test_releases_are_listed_shown_and_verified(shop: Workspace, workspace_copy: Path) -> None:
    listed = document(shopfuse("release", "list", "-w", str(shop.root), "--json"))
    manifest = document(shopfuse("release", "show", "-w", str(shop.root), "--json"))
    whole = shopfuse("release", "verify", "-w", str(shop.root))
    (workspace_copy / "releases" / "r1" / "tokenizer.json").write_text("{}")
    damaged = shopfuse("release", "verify", "-w", str(workspace_copy))

    assert listed["releases"][0]["channel"] == "stable"  # type: ignore[index]
    assert manifest["release_id"] == "r1"
    assert whole.returncode == 0
    assert damaged.returncode == 1
    assert "tokenizer.json" in damaged.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["build", "-w", "/no/such/shop"], "no such folder"),
        (["search", "sofa", "-w", "/no/such/shop"], "not being served"),
        (["serve", "-w", "/no/such/shop"], "shopfuse build"),
        (["evaluate", "search", "-j", "/no/such/file.csv", "-w", "/no/such/shop"], "no such file"),
        (["release", "show", "-w", "/no/such/shop"], "no release"),
    ],
)
def test_an_error_is_one_line_that_says_what_is_wrong(arguments: list[str], expected: str) -> None:
    result = shopfuse(*arguments)

    assert result.returncode == 1
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr


def test_bad_rows_are_named_and_the_rest_goes_in(tmp_path: Path) -> None:
    rows = [
        '{"sku": "a1", "name": "Red lamp", "cost": 10}',
        '{"sku": "a2", "name": "Blue lamp", "cost": NaN}',
        '{"sku": "a1", "name": "Green lamp", "cost": 12}',
        '{"sku": "", "name": "Nameless", "cost": 1}',
        "not json",
        '{"sku": "a3", "name": "Oak chair", "cost": 99}',
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    (tmp_path / "map.toml").write_text('[item]\nid = "sku"\ntitle = "name"\nprice = "cost"\n')
    arguments = ["import", "catalog", str(tmp_path / "rows.jsonl"), "-m", str(tmp_path / "map.toml"), "--json"]

    first = document(shopfuse(*arguments, "-w", str(tmp_path / "shop")))
    again = document(shopfuse(*arguments, "-w", str(tmp_path / "shop")))

    rejected = {(bad["row"], bad["field"]) for bad in first["first_rejections"] if not bad["row_kept"]}  # type: ignore[attr-defined]
    lost = {(entry["row"], entry["field"]) for entry in first["left_out"]}  # type: ignore[attr-defined]
    assert first["added"] == 3
    assert {(4, "id"), (5, "")} <= rejected
    assert lost == {(2, "price")}
    assert first["superseded"] == 1
    assert again["added"] == again["updated"] == 0
    assert again["unchanged"] == 3
    lines = [json.loads(line) for line in Path(str(first["rejects_path"])).read_text().splitlines()]
    assert {line["row"] for line in lines} >= {1, 2, 4, 5}
