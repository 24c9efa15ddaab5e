"""Text heads on disk are read as they were written, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.labels import SENTIMENT_LABELS, Labels
from shopfuse.ranking.text_heads import CATEGORY_HEAD, SENTIMENT_HEAD
from shopfuse.training.checkpoints.head_files import TrainedHead, load_heads, save_heads
from shopfuse.training.models.text_head import TextHead

CATEGORIES = Labels((("Home", "Lamps"), ("Home", "Sofas"), ("Sport", "Tents")), least_probability=0.6)


def head(labels: Labels, hidden: int) -> TrainedHead:
    """One with weights and a temperature of its own, as after a training."""
    torch.manual_seed(hidden)
    module = TextHead(12, len(labels), hidden)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    module.temperature = torch.tensor(1.7)
    return TrainedHead(module.eval(), labels, {"seed": 0})


def test_heads_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = {CATEGORY_HEAD: head(CATEGORIES, 0), SENTIMENT_HEAD: head(SENTIMENT_LABELS, 8)}
    vectors = torch.from_numpy(np.random.default_rng(0).standard_normal((20, 12)).astype(np.float32))
    save_heads(tmp_path, written, "abc")

    again = load_heads(tmp_path, "abc")

    assert again.keys() == written.keys()
    for name, expected in written.items():
        assert (again[name].labels, again[name].metrics) == (expected.labels, expected.metrics)
        assert torch.equal(again[name].module(vectors), expected.module(vectors))


def test_heads_of_another_encoder_or_damaged_ones_are_refused(tmp_path: Path) -> None:
    save_heads(tmp_path, {CATEGORY_HEAD: head(CATEGORIES, 0)}, "abc")

    with pytest.raises(ShopfuseError, match="trained on text encoder abc, the shop's is def"):
        load_heads(tmp_path, "def")
    (tmp_path / CATEGORY_HEAD / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ShopfuseError, match="not a checkpoint of category_head"):
        load_heads(tmp_path, "abc")
    save_heads(tmp_path, {}, "abc")
    assert load_heads(tmp_path, "abc") == {}
