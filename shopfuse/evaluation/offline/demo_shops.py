"""Simulated shops for evaluations over several seeds: each seed draws another shop with another truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.demo_shop import build_demo_shop
from shopfuse.datasets.shop_settings import ShopSettings
from shopfuse.datasets.workspace import Workspace
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer, padded, tokens_of
from shopfuse.ranking.tensors import submodels
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.models.text_encoder import load_text_encoder
from shopfuse_exporters.verify.verified_model import export_verified

SAMPLE = ["red running shoes", "a lamp for reading", "waterproof jacket", "laptop"]

ItemsOption = Annotated[int, typer.Option(min=300, help="Products of each shop.")]
UsersOption = Annotated[int, typer.Option(min=100, help="Users of each shop.")]
DaysOption = Annotated[int, typer.Option(min=5, help="Days of events.")]


@dataclass(frozen=True, slots=True)
class EncodedShop:
    seed: int
    workspace: Workspace
    vectors: NDArray[np.float32]  # [N, text_dim]
    encoding: TextEncoding


def open_encoding(scratch: Path, name: str = "embedded") -> TextEncoding:
    """A text encoder, exported and verified."""
    encoder = load_text_encoder(name)
    tokenizer = open_tokenizer(encoder.tokenizer_json, encoder.max_tokens)
    tokens = tokens_of(tokenizer, SAMPLE)
    declared = submodels(encoder.text_dim)["text_encoder"]
    verified = export_verified(declared, encoder.module, scratch, padded(tokens))
    return TextEncoding(verified.open(), tokenizer)


def encoded(workspace: Workspace, encoding: TextEncoding, seed: int, progress: Progress) -> EncodedShop:
    """A workspace with its catalogue's text vectors."""
    images = workspace.images().select("item_id").collect()["item_id"]
    catalogue = load_catalogue(workspace.items().collect(), images, workspace.settings.language)
    vectors = encoding.encode(catalogue.texts(), progress)
    return EncodedShop(seed, workspace, vectors.astype(np.float32), encoding)


def demo_shops(folder: Path, seeds: list[int], size: tuple[int, int, int], progress: Progress) -> Iterator[EncodedShop]:
    """The shop of each seed; `size` is items, users and days."""
    encoding = open_encoding(folder)
    items, users, days = size
    for place, seed in enumerate(seeds):
        progress("seeds", place, len(seeds))
        shop = Workspace.create(folder / f"seed-{place}-{seed}", ShopSettings(name=f"demo {seed}"))
        build_demo_shop(shop, items=items, users=users, days=days, seed=seed, progress=progress)
        yield encoded(shop, encoding, seed, progress)
    progress("seeds", len(seeds), len(seeds))
