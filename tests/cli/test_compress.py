"""The commands: what they print of a result, and that an error is raised before anything is written."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from shopfuse.cli.compress import app
from shopfuse.training.compression.errors import CompressionError
from tests.training.compression.tiny_encoder import write_encoder, write_shop


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    torch.set_num_threads(1)
    return write_shop(tmp_path / "shop", write_encoder(tmp_path / "teacher")).root


def test_a_distilled_encoder_is_measured_beside_its_teacher(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"

    result = CliRunner().invoke(
        app, ["distill", "-w", str(shop), "-o", str(out), "--layers", "1", "--epochs", "1", "--items", "64", "--json"]
    )

    assert result.exit_code == 0, result.exception
    row = json.loads(result.stdout.splitlines()[-1])["rows"]["distill"]
    assert row["speed_ratio"] > 1.1
    assert -1 <= row["cosine_min"] < row["cosine_mean"] < 1
    assert 0 <= row["overlap@10"] <= 1
    assert row["megabytes"] == pytest.approx((out / "model.safetensors").stat().st_size / 1e6, abs=0.1)


def test_a_pruned_encoder_ends_with_a_line_of_quality(shop: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["prune", "-w", str(shop), "-o", str(tmp_path / "small"), "--keep", "0.25", "--epochs", "0"]
    )

    assert result.exit_code == 0, result.exception
    assert "x faster; on held-out texts: cosine to the teacher 0.9" in result.stdout
    assert f'text_encoder = "{tmp_path / "small"}"' in result.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["prune", "--keep", "1"], "keep: expected a share between 0 and 1, got 1"),
        (["prune", "--epochs", "-1"], "epochs: expected 0 or more, got -1"),
        (["distill", "--layers", "2"], "layers: expected 1 to 1"),
        (["distill", "--items", "0"], "items: expected 1 or more, got 0"),
    ],
)
def test_a_wrong_value_writes_nothing(shop: Path, tmp_path: Path, arguments: list[str], problem: str) -> None:
    result = CliRunner().invoke(app, [*arguments, "-w", str(shop), "-o", str(tmp_path / "small")])

    assert isinstance(result.exception, CompressionError)
    assert problem in str(result.exception)
    assert not (tmp_path / "small").exists()
