"""`shopfuse evaluate recommend` on a shop's own events: built from the past, served by a real Triton, and asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from shopfuse.cli.evaluate.report import app
from shopfuse.datasets.parquet import write_parquet
from shopfuse.datasets.schema import EVENT_SCHEMA, ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.holdout import HoldoutError

DAYS, USERS, ITEMS = 20, 50, 40
START = datetime(2026, 3, 1, tzinfo=UTC)
MEASURES = {"ndcg@10", "hr@10", "recall@20", "recall@100", "mrr", "coverage@10", "ndcg@10_repeated", "ndcg@10_new"}
BESIDE = {"popularity", "popularity_30_days", "own_frequency", "own_frequency_decayed"}
LEARNED = {"item_knn", "item_knn_transitions", "sasrec"}


def item_row(number: int) -> dict[str, object]:
    blank: dict[str, object] = {"description": "", "category": [], "attributes": []}
    return {**blank, "item_id": f"i{number:02d}", "title": f"kind {number % 7}, {number}", "available": number > 0}


def write_shop(folder: Path, days: int = DAYS) -> Workspace:
    """Users who buy the same few things every few days, and now and then another."""
    shop, random = Workspace.create(folder), np.random.default_rng(4)
    write_parquet(shop.paths.items, pl.DataFrame([item_row(n) for n in range(ITEMS)], schema=ITEM_SCHEMA))
    favourites = random.integers(0, ITEMS, (USERS, 3))
    for day in range(days):
        rows = []
        for user in np.flatnonzero(random.random(USERS) < 0.5):
            bought = int(favourites[user, random.integers(3)] if random.random() < 0.7 else random.integers(ITEMS))
            rows.append(
                {
                    "event_id": f"e{day}-{user}",
                    "event_name": "purchase",
                    "timestamp": START + timedelta(days=day, seconds=60 * int(user)),
                    "user_id": f"u{user}",
                    "session_id": f"s{day}-{user}",
                    "item_id": f"i{bought:02d}",
                }
            )
        write_parquet(shop.paths.events_of((START + timedelta(days=day)).date()), pl.DataFrame(rows, EVENT_SCHEMA))
    return shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return write_shop(tmp_path_factory.mktemp("shop") / "own")


@pytest.fixture(scope="module")
def replay(shop: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Workspace]:
    """What --json prints, and the workspace that was built and asked."""
    kept = tmp_path_factory.mktemp("kept") / "scratch"
    words = ["recommend", "--split", "3d", "-w", shop.root, "--epochs", 1, "--workers", 1, "--keep", kept, "--json"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1]), Workspace.open(kept)


def test_every_row_has_the_figures_that_scripts_rely_on(replay: tuple[dict[str, Any], Workspace]) -> None:
    document, _ = replay
    rows = document["rows"]

    channels = {name for name in rows if name.startswith("channel_")}
    assert set(rows) - channels == {"served"} | BESIDE | LEARNED
    assert channels >= {"channel_popular", "channel_co_visit", "channel_behaviour"}
    assert set(document) >= {"rows", "release_id", "users", "split", "seconds", "build_seconds", "ask_seconds"}
    assert document["release_id"] == "r1"
    assert document["degraded"] <= 2  # a machine that does much else is late now and then
    for name, row in rows.items():
        assert set(row) >= MEASURES | {"ndcg@10_low", "ndcg@10_high", "users_by_events"}, name
        assert sum(group["users"] for group in row["users_by_events"].values()) == document["users"]
        assert row["ndcg@10_low"] <= row["ndcg@10"] <= row["ndcg@10_high"]
        if name != "served":
            assert row["served_leads_by"] == pytest.approx(rows["served"]["ndcg@10"] - row["ndcg@10"])
    assert rows["served"]["recall@100"] > 0.9  # of a catalogue of which nearly all is asked for


def test_nothing_of_what_is_held_out_is_known_to_what_is_asked(
    shop: Workspace, replay: tuple[dict[str, Any], Workspace]
) -> None:
    document, scratch = replay
    every, known = shop.events().collect(), scratch.events().collect()

    split = max(every["timestamp"].to_list()) - timedelta(days=3)
    assert document["split"]["at"] == split.timestamp()
    assert known.equals(every.filter(pl.col("timestamp") < split))
    assert document["split"]["events_before"] + document["split"]["events_held_out"] == len(every)
    assert document["users"] == every.join(known, on="event_id", how="anti")["user_id"].n_unique()
    assert scratch.items().collect().equals(shop.items().collect())
    assert not shop.paths.releases.exists()  # the shop itself stays as it was


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "60d"], "the events span"),
        (["--split", "soon"], "expected a number of days or hours"),
    ],
)
def test_a_split_that_holds_nothing_is_told(shop: Workspace, words: list[str], message: str) -> None:
    with pytest.raises(HoldoutError, match=message):
        CliRunner().invoke(app, ["recommend", "-w", str(shop.root), *words], catch_exceptions=False)


def test_a_shop_without_events_has_nothing_to_hold_out(tmp_path: Path) -> None:
    shop = Workspace.create(tmp_path / "empty")
    write_parquet(shop.paths.items, pl.DataFrame([item_row(1)], schema=ITEM_SCHEMA))

    with pytest.raises(HoldoutError, match="the shop has no events"):
        CliRunner().invoke(app, ["recommend", "--leave-one-out", "-w", str(shop.root)], catch_exceptions=False)


@pytest.mark.parametrize("words", [[], ["--split", "3d", "--leave-one-out"], ["--split", "3d", "-j", "file.csv"]])
def test_exactly_one_way_to_evaluate_is_chosen(shop: Workspace, words: list[str]) -> None:
    result = CliRunner().invoke(app, ["recommend", "-w", str(shop.root), *words])

    assert result.exit_code == 2
    assert "--leave-one-out" in result.output
