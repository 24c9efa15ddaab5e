"""`shopfuse evaluate sequences` from file to figures, on a shop that trains in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from shopfuse.cli.evaluate.report import app
from shopfuse.datasets.sequences import SequencesError
from shopfuse.evaluation.offline.sequence_rows import ROW_ORDER
from shopfuse.training.sequences import candidates, stacking

ITEMS = 30


@pytest.fixture(autouse=True)
def small_fusion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "KEPT", 16)
    monkeypatch.setattr(stacking, "FOLDS", 2)


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


def evaluate(*arguments: object) -> dict[str, Any]:
    words = ["sequences", *map(str, arguments), "--epochs", "3", "--json"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return document


def test_every_row_is_measured_over_every_seed(tmp_path: Path) -> None:
    file, attributes = write_shop(tmp_path)

    document = evaluate(file, "--attributes", attributes, "--seeds", "1,2", "--workers", 1)

    assert set(document["rows"]) == set(ROW_ORDER)
    for name, row in document["rows"].items():
        assert row["ndcg@10_low"] <= row["ndcg@10"] <= row["ndcg@10_high"]
        assert row["lead_low"] <= row["fused_leads_by"] <= row["lead_high"]
        assert sum(part["users"] for part in row["targets"].values()) == document["data"]["users"] == 81
        assert row["ndcg@10"] == pytest.approx(np.mean([seed["ndcg@10"] for seed in row["seeds"]])), name
    assert document["data"]["users_left_out"] == 2
    assert document["data"]["unreachable_targets"] == 1
    assert document["data"]["unknown_items_with_attributes"] == 2
    assert document["rows"]["fused"]["ndcg@10"] > document["rows"]["popularity"]["ndcg@10"] + 0.2
    assert document["rows"]["sasrec"]["seconds_per_epoch"] > 0
    assert len(document["chosen"]["fusion"]) == 2


def test_without_attributes_there_is_nothing_but_ids(tmp_path: Path) -> None:
    file, _ = write_shop(tmp_path)

    rows = evaluate(file, "--seeds", "1", "--workers", 2)["rows"]

    assert "ours_without_id" not in rows
    assert rows["ours_without_attributes"]["ndcg@10"] == rows["ours"]["ndcg@10"]


def test_three_users_with_three_items_each_are_enough_to_run(tmp_path: Path) -> None:
    file = tmp_path / "tiny.txt"
    file.write_text("a x y z\nb y z x\nc z x w\n")

    document = evaluate(file, "--seeds", "5", "--workers", 1)

    assert document["data"]["users"] == 3
    assert document["rows"]["fused"]["targets"]["cold"]["users"] == 1


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
