"""Shops for evaluations over several seeds: another simulated shop with another truth for each, or the same own one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.shop_settings import ShopSettings
from shopfuse.datasets.workspace import Workspace
from shopfuse.inference.text_encoding import TextEncoding
from shopfuse.training.data.catalogue import load_catalogue


@dataclass(frozen=True, slots=True)
class EncodedShop:
    seed: int
    workspace: Workspace
    vectors: NDArray[np.float32]  # [N, text_dim]
    encoding: TextEncoding


def demo_shops(
    folder: Path, encoding: TextEncoding, seeds: Sequence[int], size: tuple[int, int, int], progress: Progress
) -> Iterator[EncodedShop]:
    """The simulated shop of each seed, below `folder`; `size` is items, users and days."""
    items, users, days = size
    for place, seed in enumerate(seeds):
        progress("seeds", place, len(seeds))
        shop = Workspace.create(folder / f"seed-{place}-{seed}", ShopSettings(name=f"demo {seed}"))
        build_demo_shop(shop, items=items, users=users, days=days, seed=seed, progress=progress)
        yield EncodedShop(seed, shop, _text_vectors(shop, encoding, progress), encoding)
    progress("seeds", len(seeds), len(seeds))


def own_shops(
    workspace: Workspace, encoding: TextEncoding, seeds: Sequence[int], progress: Progress
) -> Iterator[EncodedShop]:
    """The same shop for every seed: they draw the weights that training starts from."""
    vectors = _text_vectors(workspace, encoding, progress)
    for seed in seeds:
        yield EncodedShop(seed, workspace, vectors, encoding)


def _text_vectors(workspace: Workspace, encoding: TextEncoding, progress: Progress) -> NDArray[np.float32]:
    """Of the catalogue."""
    images = workspace.images().select("item_id").collect()["item_id"]
    catalogue = load_catalogue(workspace.items().collect(), images, workspace.settings.languages)
    return encoding.encode(catalogue.texts(), progress).astype(np.float32)
