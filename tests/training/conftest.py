"""A small demo shop, and models trained on it once for all tests."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.event_log import EventLog, load_event_log
from shopfuse.training.trainers.build_models import build_models

TEXT_DIM = 64


def encode_words(texts: list[str]) -> NDArray[np.float32]:
    """A stand-in for the text encoder: each word a fixed random direction, so that equal words mean likeness."""
    vectors = np.zeros((len(texts), TEXT_DIM), np.float32)
    for row, text in enumerate(texts):
        for word in text.casefold().replace(".", " ").split():
            vectors[row] += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(TEXT_DIM)
    unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit.astype(np.float32)


@dataclass(frozen=True)
class Shop:
    workspace: Workspace
    catalogue: Catalogue
    log: EventLog
    text_vectors: NDArray[np.float32]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    torch.set_num_threads(1)  # more would wait for each other on a busy machine
    workspace = Workspace.create(Path(tmp_path_factory.mktemp("shop")) / "demo")
    build_demo_shop(workspace, items=240, users=450, days=12, seed=5)
    catalogue = load_catalogue(workspace.items().collect(), workspace.images().select("item_id").collect()["item_id"])
    return Shop(workspace, catalogue, load_event_log(workspace.events(), catalogue), encode_words(catalogue.texts()))


@pytest.fixture(scope="session")
def models(shop: Shop) -> ShopModels:
    return build_models(shop.workspace, shop.text_vectors, encode_words, seed=0, fusion="attention")
