"""A shop of a few items with events and images, fitted models, and a text encoder of eight numbers."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.core.progress import Progress
from shopfuse.datasets.schema import EVENT_SCHEMA, IMAGE_SCHEMA, ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.tensors import D_IMAGE
from shopfuse.training.checkpoints.shop_models import ShopModels, fitted_models
from shopfuse.training.models.image_tower import ImageTower
from shopfuse.training.models.text_encoder import LoadedTextEncoder
from tests.exporters.tiny_models import TINY, TinyEncoder

WORDS = ["lamp", "chair", "table", "red", "blue", "green", "oak", "large", "small"]
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def save_tokenizer(path: Path) -> Path:
    """Words by number, saved with the padding and truncation that checkpoints often carry."""
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["[UNK]", *WORDS])}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(2)
    tokenizer.save(str(path))
    return path


def tiny_text_encoder(folder: Path, flaw: str = "") -> LoadedTextEncoder:
    return LoadedTextEncoder(TinyEncoder(flaw), save_tokenizer(folder / "tokenizer.json"), TINY, 16, "tiny")


def write_catalogue(workspace: Workspace, items: int = 12) -> None:
    """Items i00, i01, ...; every third has an image."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "item_id": f"i{number:02d}",
            "title": " ".join(rng.choice(WORDS, 3)),
            "description": "",
            "brand": "Acme" if number % 2 else None,
            "category": ["home", WORDS[number % 3]],
            "price": 10.0 + number if number % 4 else None,
            "currency": "EUR",
            "attributes": [{"name": "colour", "value": "red"}],
            "image_uri": None,
            "available": number != 5,
            "published_at": DAY,
        }
        for number in range(items)
    ]
    workspace.paths.catalogue.mkdir(exist_ok=True)
    pl.DataFrame(rows, ITEM_SCHEMA).write_parquet(workspace.paths.items)
    images = [{"item_id": row["item_id"], "image": image(at)} for at, row in enumerate(rows) if at % 3 == 0]
    pl.DataFrame(images, IMAGE_SCHEMA).write_parquet(workspace.paths.images)


def image(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 30), (shade * 9 % 256, 80, 160)).save(buffer, format="PNG")
    return buffer.getvalue()


def write_events(workspace: Workspace) -> None:
    """Two users: u1 saw i00 and i01 in one session and bought i01, u2 saw i01 and i02."""
    events = [
        ("u1", "i00", "view_item"),
        ("u1", "i01", "purchase"),
        ("u2", "i01", "view_item"),
        ("u2", "i02", "view_item"),
    ]
    rows = [
        {
            "event_id": f"e{at}",
            "event_name": name,
            "timestamp": DAY + timedelta(minutes=at),
            "user_id": user,
            "session_id": f"s-{user}",
            "item_id": item,
        }
        for at, (user, item, name) in enumerate(events)
    ]
    workspace.paths.events.mkdir(exist_ok=True)
    pl.DataFrame(rows, EVENT_SCHEMA).write_parquet(workspace.paths.events_of(DAY.date()))


class MeanColour(nn.Module):
    """pixels [B, 64, 64, 3] -> [B, D_IMAGE]."""

    def forward(self, pixels: Tensor) -> Tensor:
        mean = pixels.float().mean((1, 2)) / 255.0 + 0.01  # [B, 3]
        return normalize(mean.repeat(1, D_IMAGE // 3 + 1)[:, :D_IMAGE], dim=-1)


def fit(
    workspace: Workspace,
    text_vectors: NDArray[np.float32],
    encode_texts: Callable[[list[str]], NDArray[np.float32]],
    *,
    seed: int,
    fusion: str,
    progress: Progress,
) -> ShopModels:
    """What training gives, without training: fitted models, and an image encoder where there are images."""
    dims = encode_texts(["red lamp"]).shape[1]
    models = replace(fitted_models(text_vectors, (), "weighted"), made_by={"dims": dims})
    if not workspace.has_images:
        return models
    torch.manual_seed(0)
    return replace(models, image_encoder=MeanColour(), image_tower=ImageTower(D_IMAGE))
