"""`shopfuse evaluate sequences` from file to figures: a small shop is built, served by a real Triton, and asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from shopfuse.cli.evaluate.report import app
from shopfuse.datasets.sequences import SequencesError, read_attributes, read_sequences
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.sequence_rows import CountedRanks, TrainedRanks, table_rows
from shopfuse.evaluation.served.sequence_replay import ASKED_AT, requests_of, sequence_shop
from shopfuse.training.sequences.counted_rows import CountedSettings
from shopfuse.training.sequences.sasrec import TRIALS
from shopfuse.training.sequences.split import leave_one_out
from shopfuse.v1.recommendation_pb2 import RepeatPurchases

ITEMS = 30
ROWS = ["served", "popularity", "item_knn", "item_knn_transitions", "sasrec"]


def write_shop(folder: Path) -> tuple[Path, Path]:
    """Items follow each other round and round; two users have too few, one test item was had before."""
    random = np.random.default_rng(0)
    lines = ["short1 i0", "short2 i1 i2", "again i3 i4 i5 i3"]
    for user in range(80):
        start, length = int(random.integers(ITEMS)), int(random.integers(3, 8))
        lines.append(" ".join([f"u{user}", *(f"i{(start + step) % ITEMS}" for step in range(length))]))
    file, attributes = folder / "sequences.txt", folder / "attributes.json"
    file.write_text("\n".join(lines))
    attributes.write_text(json.dumps({f"i{item}": [item // 3, "all"] for item in range(ITEMS + 2)}))
    return file, attributes


def test_a_file_is_built_served_and_asked_beside_every_row(tmp_path: Path) -> None:
    file, attributes = write_shop(tmp_path)
    words = ["sequences", file, "--attributes", attributes, "--seeds", 3, "--epochs", 3, "--workers", 1, "--json"]

    result = CliRunner().invoke(app, [*map(str, words), "--keep", str(tmp_path / "kept")], catch_exceptions=False)

    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert sorted(document["rows"]) == sorted(ROWS)
    for row in document["rows"].values():
        assert set(row) >= {"hr@5", "ndcg@5", "hr@10", "ndcg@10"}
        assert row["ndcg@10_low"] <= row["ndcg@10"] <= row["ndcg@10_high"]
        assert sum(part["users"] for part in row["targets"].values()) == document["data"]["users"] == 81
    assert document["rows"]["served"]["hr@20"] > 0.4
    assert document["data"]["users_left_out"] == 2
    assert document["data"]["unreachable_targets"] == 1
    assert document["data"]["unknown_items_with_attributes"] == 2
    assert [run["seed"] for run in document["seeds"]] == [3]
    assert document["seeds"][0]["degraded"] <= 2  # a machine that does much else is late now and then
    assert document["seconds"] > document["seeds"][0]["build_seconds"] > 0
    known = Workspace.open(tmp_path / "kept").events().collect()
    assert len(known) == document["data"]["events"] - document["data"]["users"]


def test_a_shop_of_a_file_holds_all_but_the_last_item_of_each_user_a_day_apart(tmp_path: Path) -> None:
    file, attributes = write_shop(tmp_path)
    read = read_sequences(file)
    split = leave_one_out(read)

    shop = sequence_shop(read.items, split.test.inputs, read_attributes(attributes, read.items), tmp_path / "shop")

    items, events = shop.items().collect(), shop.events().collect()
    assert items["title"].to_list() == list(read.items)
    assert [pair["name"] for pair in items["attributes"][0]] == ["attribute", "attribute"]
    by_user = events.sort("timestamp").group_by("user_id").agg("item_id", "timestamp").sort("user_id")
    titles = dict(zip(items["item_id"], items["title"], strict=True))
    lines = [line.split()[1:-1] for line in file.read_text().splitlines()[2:]]
    assert [[titles[item] for item in had] for had in by_user["item_id"]] == lines
    days = [moments.diff().drop_nulls().dt.total_hours().unique().to_list() for moments in by_user["timestamp"]]
    assert all(apart in ([24], []) for apart in days)
    assert by_user["timestamp"].list.last().n_unique() == 1
    assert events["session_id"].n_unique() == len(events)
    requests = requests_of(len(split.test))
    assert [request.user_id for request in requests] == by_user["user_id"].to_list()
    assert {request.repeat_purchases for request in requests} == {RepeatPurchases.REPEAT_PURCHASES_NEVER}
    assert {request.context.time.seconds for request in requests} == {int(ASKED_AT)}
    assert events.select(pl.col("timestamp").max().dt.epoch("s")).item() == ASKED_AT - 86_400


def test_the_served_figure_is_the_mean_over_seeds(tmp_path: Path) -> None:
    file, _ = write_shop(tmp_path)
    split = leave_one_out(read_sequences(file))
    users = len(split.test)
    served = np.stack([np.full(users, 1, np.int32), np.full(users, 3, np.int32)])
    counted = CountedRanks(CountedSettings(5.0, 1.0, 1.0), {"popularity": np.full(users, 11, np.int32)})
    trained = [
        TrainedRanks(trial, np.full(users, rank, np.int32), validation, 1, 1.0)
        for trial, rank, validation in zip(TRIALS, (2, 1), (0.3, 0.2), strict=True)
    ]

    rows = table_rows(split, served, counted, trained)

    assert list(rows) == ["served", "popularity", "sasrec"]
    assert [seed["ndcg@10"] for seed in rows["served"]["seeds"]] == [1.0, 0.5]
    assert rows["served"]["ndcg@10"] == 0.75
    assert rows["popularity"]["served_leads_by"] == 0.75
    assert rows["sasrec"]["ndcg@10"] == pytest.approx(1 / np.log2(3))  # of the trial that validation chose


@pytest.mark.parametrize("seeds", ["one", "1,1", "-1", ""])
def test_seeds_that_are_none_are_refused(tmp_path: Path, seeds: str) -> None:
    file, _ = write_shop(tmp_path)

    result = CliRunner().invoke(app, ["sequences", str(file), "--seeds", seeds])

    assert result.exit_code == 2
    assert "--seeds" in result.output


def test_a_broken_line_stops_the_command(tmp_path: Path) -> None:
    file, _ = write_shop(tmp_path)
    file.write_text(file.read_text() + "\nlonely")

    with pytest.raises(SequencesError, match="line 84: expected `user item item"):
        CliRunner().invoke(app, ["sequences", str(file)], catch_exceptions=False)
