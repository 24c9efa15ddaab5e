"""The image encoder of a shop without events: trained on its images, or a checkpoint, and saved with the rest."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import transformers
from PIL import Image

from shopfuse.datasets.schema import IMAGE_SCHEMA, ITEM_SCHEMA
from shopfuse.datasets.shop_settings import ShopSettings
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.checkpoints.model_files import load_models
from shopfuse.training.models.hub_checkpoint import CheckpointError
from shopfuse.training.models.image_tower import fit_image_tower
from shopfuse.training.models.image_vectors import image_vectors
from shopfuse.training.trainers.build_models import build_models
from tests.training.conftest import encode_words

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 200), "grey": (120, 120, 120)}
IDS = [f"i{number:02d}" for number in range(24)]


def image(colour: str, seed: int) -> bytes:
    noise = np.random.default_rng(seed).normal(0, 15, (32, 32, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(COLOURS[colour] + noise, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def make_shop(folder: Path, image_encoder: str = "embedded") -> Workspace:
    """Items of four colours, of which all but the last have an image."""
    shop = Workspace.create(folder, ShopSettings(image_encoder=image_encoder))
    shop.paths.catalogue.mkdir()
    names = [list(COLOURS)[at % 4] for at in range(len(IDS))]
    rows = [{"item_id": i, "title": f"{name} cloth", "available": True} for i, name in zip(IDS, names, strict=True)]
    pl.DataFrame(rows, ITEM_SCHEMA).write_parquet(shop.paths.items)
    images = [(i, image(name, at)) for at, (i, name) in enumerate(zip(IDS[:-1], names[:-1], strict=True))]
    pl.DataFrame(images, IMAGE_SCHEMA, orient="row").write_parquet(shop.paths.images)
    return shop


def texts() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return encode_words([f"{list(COLOURS)[at % 4]} cloth" for at in range(len(IDS))])


def test_a_shop_without_events_learns_from_its_images(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop")
    models = build_models(shop, texts(), encode_words)
    loaded = load_models(shop.paths.checkpoints, IDS)

    assert (models.image_dim, models.image_size, models.image_source) == (128, 64, "embedded")
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert models.image_encoder is not None and loaded.image_encoder is not None
    assert models.image_tower is not None and loaded.image_tower is not None
    with torch.no_grad():
        assert torch.equal(models.image_encoder(pixels), loaded.image_encoder(pixels))
        vectors = models.image_tower(models.image_encoder(pixels))
        assert torch.equal(vectors, loaded.image_tower(loaded.image_encoder(pixels)))
    assert vectors.norm(dim=1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


def test_a_shop_may_use_a_checkpoint(tmp_path: Path) -> None:
    config = transformers.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        projection_dim=20,
    )
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / "tower")
    shop = make_shop(tmp_path / "shop", str(tmp_path / "tower"))
    models = build_models(shop, texts(), encode_words)
    loaded = load_models(shop.paths.checkpoints, IDS)

    assert (loaded.image_dim, loaded.image_size) == (models.image_dim, models.image_size) == (20, 32)
    assert str(tmp_path / "tower") in loaded.image_source
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert models.image_encoder is not None and loaded.image_encoder is not None
    with torch.no_grad():
        assert torch.equal(models.image_encoder(pixels), loaded.image_encoder(pixels))


def test_a_checkpoint_that_is_not_there_stops_the_build(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop", "./no/such/tower")

    with pytest.raises(CheckpointError, match=r"image encoder './no/such/tower': no such folder"):
        build_models(shop, texts(), encode_words)


def test_an_item_with_several_images_has_their_middle() -> None:
    from shopfuse.training.data.catalogue import load_catalogue
    from shopfuse.training.models.image_encoder import ImageEncoder

    torch.manual_seed(0)
    encoder = ImageEncoder().eval()
    rows = [{"item_id": item_id, "title": item_id, "available": True} for item_id in ("a", "b", "c")]
    catalogue = load_catalogue(pl.DataFrame(rows, ITEM_SCHEMA))
    red, blue = image("red", 0), image("blue", 1)

    def vectors(*images: tuple[str, bytes]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        vectors = image_vectors(encoder, pl.DataFrame(list(images), IMAGE_SCHEMA, orient="row").lazy(), catalogue)
        assert vectors is not None
        return vectors

    both = vectors(("a", red), ("b", red), ("b", blue), ("stranger", red))
    alone = vectors(("a", red), ("b", blue))
    middle = alone[0] + alone[1]
    assert both[0] == pytest.approx(alone[0], abs=1e-5)
    assert both[1] == pytest.approx(middle / np.linalg.norm(middle), abs=1e-5)
    assert not both[2].any()


def test_the_image_tower_says_what_the_item_tower_says_of_such_items() -> None:
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(300, 16)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    wanted = looks @ rng.normal(size=(16, 128)) + 0.5
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    tower = fit_image_tower(looks[:200], wanted[:200].astype(np.float32))

    with torch.no_grad():
        image_queries = tower(torch.from_numpy(looks[200:])).numpy()
    assert (image_queries * wanted[200:]).sum(1).min() > 0.9
    with pytest.raises(ValueError, match="items with images"):
        fit_image_tower(looks[:0], looks[:0])
