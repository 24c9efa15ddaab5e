"""The demo shop's brands: each has a name, a department, a price position, a quality and a style of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.categories import LEAVES
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.vocabulary import BRAND_NAMES

DEPARTMENTS = tuple(dict.fromkeys(leaf.department for leaf in LEAVES))
_PER_DEPARTMENT = 9


@dataclass(frozen=True, slots=True)
class Brands:
    """All arrays have one row for each brand; the last row stands for items without a brand."""

    names: tuple[str | None, ...]
    department: NDArray[np.int16]  # -1 for the last row
    share: FloatArray  # of the items of its department
    price_position: FloatArray  # -1 cheap .. +1 premium, standardised
    quality: FloatArray
    style: FloatArray  # [brands, 2]

    def __len__(self) -> int:
        return len(self.names)


def make_brands(seed: int) -> Brands:
    """About 9 brands for each department, a few of them large."""
    rng = stream(seed, "brands")
    count = _PER_DEPARTMENT * len(DEPARTMENTS)
    chosen = rng.choice(BRAND_NAMES, size=count, replace=False)
    share = 1.0 / (1.0 + np.arange(_PER_DEPARTMENT)) ** 0.6
    price_position = rng.standard_normal(count + 1)
    quality = 0.5 * price_position + rng.standard_normal(count + 1)
    price_position[-1] = -0.8
    style = rng.standard_normal((count + 1, 2))
    style[-1] = 0.0
    return Brands(
        names=(*chosen.tolist(), None),
        department=np.append(np.repeat(np.arange(len(DEPARTMENTS)), _PER_DEPARTMENT), -1).astype(np.int16),
        share=np.append(np.tile(share / share.sum(), len(DEPARTMENTS)), 0.0).astype(np.float32),
        price_position=price_position.astype(np.float32),
        quality=quality.astype(np.float32),
        style=style.astype(np.float32),
    )
