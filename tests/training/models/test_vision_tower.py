"""Vision towers of ViT, CLIP and SigLIP checkpoints: as transformers itself would run them, or refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from shopfuse.training.models.hub_checkpoint import CheckpointError
from shopfuse.training.models.vision_tower import empty_tower, load_vision_tower

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 48,
    "patch_size": 16,
}
TEXT: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 40,
    "max_position_embeddings": 8,
}
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def make(kind: str) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    if kind == "vit":
        return transformers.ViTModel(transformers.ViTConfig(**SMALL))
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=TEXT, vision_config=SMALL, projection_dim=24)
        return transformers.CLIPModel(config)
    if kind == "clip_vision_model":
        return transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**SMALL, projection_dim=24))
    return transformers.SiglipModel(transformers.SiglipConfig(text_config=TEXT, vision_config=SMALL))


def saved(kind: str, folder: Path) -> Path:
    make(kind).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": MEAN, "image_std": STD}))
    return folder


def expected(kind: str, folder: Path, pixels: torch.Tensor) -> torch.Tensor:
    """The vector of an image by transformers' own means, from the whole checkpoint."""
    mean, std = (torch.tensor(numbers).reshape(3, 1, 1) for numbers in (MEAN, STD))
    image = (pixels.permute(0, 3, 1, 2) / 255.0 - mean) / std
    readers: dict[str, Any] = {
        "vit": transformers.ViTModel,
        "clip": transformers.CLIPModel,
        "clip_vision_model": transformers.CLIPVisionModelWithProjection,
        "siglip": transformers.SiglipModel,
    }
    whole = readers[kind].from_pretrained(folder).eval()
    if kind == "vit":
        vector = whole(image).last_hidden_state[:, 0]
    elif kind == "clip":
        vector = whole.visual_projection(whole.vision_model(image).pooler_output)
    elif kind == "clip_vision_model":
        vector = whole(image).image_embeds
    else:
        vector = whole.vision_model(image).pooler_output
    return torch.nn.functional.normalize(vector, dim=-1)


@pytest.mark.parametrize(("kind", "dim"), [("vit", 32), ("clip", 24), ("clip_vision_model", 24), ("siglip", 32)])
def test_a_tower_gives_what_its_checkpoint_gives(kind: str, dim: int, tmp_path: Path) -> None:
    folder = saved(kind, tmp_path / kind)
    loaded = load_vision_tower(str(folder))
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), np.uint8))

    with torch.no_grad():
        vectors = loaded.module(pixels)
        wanted = expected(kind, folder, pixels)
    assert (loaded.module.image_dim, loaded.module.image_size) == (dim, 48) == (vectors.shape[1], 48)
    torch.testing.assert_close(vectors, wanted, atol=1e-5, rtol=1e-4)
    assert str(folder) in loaded.source


def test_a_tower_is_the_same_after_its_weights_were_saved_and_read(tmp_path: Path) -> None:
    module = load_vision_tower(str(saved("clip", tmp_path / "clip"))).module
    again = empty_tower(json.loads(json.dumps(module.config)))
    again.load_state_dict(module.state_dict())
    pixels = torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        assert torch.equal(module(pixels), again.eval()(pixels))


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("vit", tmp_path_factory.mktemp("vit"))


def lose_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["embeddings.cls_token"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])


def hide_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def state(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "preprocessor_config.json").write_text(json.dumps(values))

    return change


def another_family(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lose_a_weight, "lacks 1 weights, such as 'embeddings.cls_token'"),
        (cut_short, "cannot read"),
        (hide_config, r"cannot read .*config\.json"),
        (pickle_only, "pickle checkpoints are refused"),
        (another_family, "a checkpoint of type 'bert', expected one of clip"),
        (state(image_mean=[0.5]), "image_mean: expected three numbers"),
        (state(image_std=[0.5, 0.0, 0.5]), "image_std: expected positive numbers"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_name(
    vit: Path, tmp_path: Path, damage: Callable[[Path], None], problem: str
) -> None:
    shutil.copytree(vit, tmp_path / "damaged")
    damage(tmp_path / "damaged")

    with pytest.raises(CheckpointError, match=f"image encoder .*damaged.*{problem}"):
        load_vision_tower(str(tmp_path / "damaged"))


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(CheckpointError, match="no such folder"):
        load_vision_tower("./no/such/encoder")
    with pytest.raises(CheckpointError, match=r"image encoder 'someone/a-vit': .*use 'embedded', or a folder"):
        load_vision_tower("someone/a-vit")
