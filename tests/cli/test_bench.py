"""`bench precisions`: the shop's own encoder and others, each compared to the shop's own in fp32."""

import json
from pathlib import Path

import pytest
import typer
from transformers import BertConfig
from typer.testing import CliRunner

from shopfuse.cli.bench import precisions
from shopfuse.core.errors import ShopfuseError
from shopfuse.training.compression.compress import Effort, prune_encoder
from shopfuse.training.models.hub_checkpoint import CheckpointError
from tests.training.compression.tiny_encoder import TINY, write_encoder, write_shop

APP = typer.Typer()
APP.command()(precisions)


def test_other_encoders_are_compared_to_the_shops_own_in_fp32(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", write_encoder(tmp_path / "own"))
    pruned = tmp_path / "pruned"
    prune_encoder(shop, pruned, 0.5, Effort(epochs=0, items=64))

    arguments = ["-w", str(shop.root), "--encoder", str(pruned), "--precision", "fp32", "--json"]
    result = CliRunner().invoke(APP, arguments)

    assert result.exit_code == 0, result.exception
    printed = json.loads(result.stdout.splitlines()[-1])
    rows = {row["name"]: row for row in printed["rows"]}
    assert list(rows) == ["fp32", f"{pruned} fp32"]
    assert rows["fp32"]["cosine_min"] == pytest.approx(1.0, abs=1e-5)
    assert rows[f"{pruned} fp32"]["cosine_mean"] < 0.999
    assert rows[f"{pruned} fp32"]["mb"] < rows["fp32"]["mb"]
    assert printed["items"] == 260


def test_an_unknown_precision_is_named(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", write_encoder(tmp_path / "own"))

    result = CliRunner().invoke(APP, ["-w", str(shop.root), "--precision", "int4"])

    assert isinstance(result.exception, ShopfuseError)
    assert "--precision int4: expected one of fp32" in str(result.exception)


def test_an_encoder_that_was_not_made_from_the_shops_own_is_refused(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", write_encoder(tmp_path / "own"))
    wide = write_encoder(tmp_path / "wide", BertConfig(**TINY.to_diff_dict() | {"hidden_size": 64}))
    other = write_encoder(tmp_path / "other")
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text().replace("word7", "term7"))

    problems = {wide: "vectors of 64 numbers, the shop's have 32", other: "its tokenizer.json is not that"}
    for folder, problem in problems.items():
        result = CliRunner().invoke(APP, ["-w", str(shop.root), "--encoder", str(folder)])
        assert isinstance(result.exception, ShopfuseError)
        assert problem in str(result.exception)


def test_an_encoder_too_short_for_the_longest_bucket_is_refused(tmp_path: Path) -> None:
    short = BertConfig(**TINY.to_diff_dict() | {"max_position_embeddings": 48})
    shop = write_shop(tmp_path / "shop", write_encoder(tmp_path / "own", short))

    result = CliRunner().invoke(APP, ["-w", str(shop.root), "--precision", "fp32"])

    assert isinstance(result.exception, CheckpointError)
    assert "own': 48 positions, expected 128 or more" in str(result.exception)
