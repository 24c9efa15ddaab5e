"""The text encoder: the embedded weights, and checkpoints that are refused."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from shopfuse.training.models.hub_checkpoint import CheckpointError
from shopfuse.training.models.text_encoder import load_text_encoder


def test_the_embedded_encoder_knows_that_a_couch_is_a_sofa() -> None:
    encoder = load_text_encoder("embedded")
    tokenizer = Tokenizer.from_file(str(encoder.tokenizer_json))
    tokenizer.enable_padding()
    rows = tokenizer.encode_batch(["a couch", "a sofa", "a bicycle"])
    ids, mask = torch.tensor([row.ids for row in rows]), torch.tensor([row.attention_mask for row in rows])

    with torch.no_grad():
        vectors = encoder.module(ids, mask)
        alone = encoder.module(ids[:1, : int(mask[0].sum())], mask[:1, : int(mask[0].sum())])

    assert vectors.shape == (3, encoder.text_dim)
    assert vectors.norm(dim=-1).tolist() == pytest.approx([1.0] * 3, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert torch.allclose(vectors[0], alone[0], atol=1e-5)


def test_a_pickle_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")

    with pytest.raises(CheckpointError, match="pickle checkpoints are refused"):
        load_text_encoder(str(tmp_path))


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        load_text_encoder("./no/such/encoder")


def test_an_unreachable_hub_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(CheckpointError, match="use 'embedded', or a folder"):
        load_text_encoder("someone/an-encoder")
