"""Draws of items from a leaf, a group or the whole catalogue, in proportion to their exposure, whatever its size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.world.categories import Leaf
from shopfuse.datasets.demo_shop.world.items import Codes, Items

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Shelves:
    """The items in order of their leaf, with running sums of their exposure."""

    order: Places  # item rows, leaf by leaf
    running: NDArray[np.float64]  # exposure before each place: [items + 1]
    leaf_start: Places  # place of each leaf's first item: [leaves + 1]
    group_of_leaf: Codes
    group_start: Places  # [groups + 1]
    group_names: tuple[str, ...]

    def in_leaf(self, leaf: Codes) -> tuple[Places, Places]:
        """First and past-the-last place of each leaf."""
        return self.leaf_start[leaf], self.leaf_start[leaf + 1]

    def in_group(self, group: Codes) -> tuple[Places, Places]:
        """First and past-the-last place of each group."""
        return self.group_start[group], self.group_start[group + 1]

    def draw(self, rng: np.random.Generator, first: Places, last: Places, count: int) -> Places:
        """Item rows [n, count] between the places `first` and `last`, with replacement, by exposure."""
        low, high = self.running[first][:, None], self.running[last][:, None]
        point = low + rng.random((len(first), count)) * (high - low)
        place = np.searchsorted(self.running, point, side="right") - 1
        last_place = np.maximum(last - 1, first)[:, None]
        drawn: Places = self.order[np.clip(place, first[:, None], last_place).clip(0, len(self.order) - 1)]
        return drawn


def stack_shelves(items: Items, leaves: tuple[Leaf, ...]) -> Shelves:
    """Sort the items by leaf; the leaves of a group are neighbours in the tree, so that groups are runs too."""
    order = np.argsort(items.leaf, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(items.exposure[order], dtype=np.float64)])
    leaf_start = np.searchsorted(items.leaf[order], np.arange(len(leaves) + 1))
    names = tuple(dict.fromkeys(leaf.group for leaf in leaves))
    group_of_leaf = np.array([names.index(leaf.group) for leaf in leaves], np.int16)
    first_leaf = np.searchsorted(group_of_leaf, np.arange(len(names) + 1))
    return Shelves(order, running, leaf_start, group_of_leaf, leaf_start[first_leaf], names)
