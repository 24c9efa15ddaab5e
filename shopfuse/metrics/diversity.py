"""Beyond accuracy: how much of the catalogue lists show, how evenly, how novel and how varied they are.

Measures of finished lists; the rules that change lists are policy's. Lists are arrays of item rows, best first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32] | NDArray[np.int64]


def exposure(lists: Sequence[Rows], items: int) -> NDArray[np.int64]:
    """How often each item is shown, [items]."""
    rows = np.concatenate([*lists, np.zeros(0, np.int32)]).astype(np.int64)
    return np.bincount(rows, minlength=items).astype(np.int64)


def coverage(exposures: NDArray[np.int64]) -> float:
    """Share of the items [items] that are shown at least once (Ge, Delgado-Battenfeld and Jannach, 2010)."""
    return float((exposures > 0).mean()) if len(exposures) else 0.0


def gini(exposures: NDArray[np.int64]) -> float:
    """How unevenly exposure [items] is spread: 0 all alike, towards 1 one item takes all; 0 where nothing is shown.

    sum((2 i - n - 1) x_i) / (n sum x) over ascending x (Fleder and Hosanagar, 2009).
    """
    count, total = len(exposures), float(exposures.sum())
    if count == 0 or total == 0:
        return 0.0
    weight = 2.0 * np.arange(1, count + 1) - count - 1.0
    return float(np.dot(weight, np.sort(exposures))) / (count * total)


def surprise(interactions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Self-information -log2 p of each item, in bits: [items] (Zhou et al., 2010).

    p is the item's share of all interactions, one added to each, so that an item that nobody met is finite.
    """
    smoothed = np.asarray(interactions, np.float64) + 1.0
    bits: NDArray[np.float64] = -np.log2(smoothed / smoothed.sum())
    return bits


def novelty(items: Rows, bits: NDArray[np.float64]) -> float:
    """Mean self-information of a list, in bits; 0 for an empty one."""
    return float(bits[items].mean()) if len(items) else 0.0


def intra_list_diversity(vectors: NDArray[np.float32]) -> float:
    """Mean 1 - cosine over the pairs of a list, vectors [n, D] (Smyth and McClave, 2001); 0 for fewer than two items.

    A zero vector is unlike everything.
    """
    count = len(vectors)
    if count < 2:
        return 0.0
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.asarray(vectors, np.float64) / np.where(length > 0, length, 1.0)
    together = float((unit.sum(0) ** 2).sum() - (unit**2).sum())  # over ordered pairs
    return 1.0 - together / (count * (count - 1))


def entropy(codes: NDArray[np.int32] | NDArray[np.int64]) -> float:
    """Shannon entropy of the categories of a list, in bits: 0 for one category, log2 n for n different ones."""
    if len(codes) == 0:
        return 0.0
    _, counts = np.unique(codes, return_counts=True)
    share = counts / counts.sum()
    return abs(float(np.dot(share, np.log2(share))))
