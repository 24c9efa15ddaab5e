"""The true relevance of similar items: what the shoppers who want one item want, too.

For each seed item, an item's worth is its mean wish over shoppers, each counted by the own wish for the seed; of a
product, that of its best variant. Grades are those of the other truths. Nothing drawn here touches the events.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from shopfuse.datasets.demo_shop.truth.graded import graded_products
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.tastes import Liking, Rows, utility, wanted
from shopfuse.datasets.demo_shop.world.world import DemoShop

SEEDS = 300
_SHOPPERS = 400  # whose wishes are averaged
_TRIED = 2_000  # items that the seeds are drawn from
_RELEVANT_SHARE = 0.02  # of the catalogue, as for recommendations
_ITEMS_AT_ONCE = 32_768
_KEPT = 100  # best products of a block: more than can be relevant


def similar_truth(shop: DemoShop, item_ids: pl.Series) -> pl.DataFrame:
    """Rows of a file of judged similar items: seed_item_id, item_id, grade; seeds as drawn, items best first.

    Half of the seeds are drawn by how much they are wanted, as visits are, and half are any.
    """
    rng = stream(shop.seed, "truth", 2)
    activity = shop.users.activity.astype(np.float64)
    people = rng.choice(len(activity), size=_SHOPPERS, p=activity / activity.sum())
    liking = shop.liking(people, 1.0)
    available = np.flatnonzero(shop.items.available)
    seeds = _seeds(rng, shop, liking, available)
    wish = _wishes(shop, liking, seeds)
    weight: FloatArray = wish / wish.sum(0)  # [shoppers, seeds]
    worth = _best_of_blocks(shop, liking, weight, available)
    product = shop.items.product
    products = len(np.unique(product[available]))
    frames = []
    for seed, (items, values) in zip(seeds.tolist(), worth, strict=True):
        others = product[items] != product[seed]
        share = _RELEVANT_SHARE * products / len(np.unique(product[items[others]]))
        chosen, grades = graded_products(shop, values[others], items[others], share)
        frames.append(
            pl.DataFrame(
                {
                    "seed_item_id": pl.repeat(item_ids[seed], len(chosen), eager=True),
                    "item_id": item_ids.gather(chosen),
                    "grade": grades.astype(np.int32),
                }
            )
        )
    return pl.concat(frames)


def _seeds(rng: np.random.Generator, shop: DemoShop, liking: Liking, available: Rows) -> Rows:
    tried = rng.permutation(available)[:_TRIED]
    count = min(SEEDS, len(tried))
    wish = _wishes(shop, liking, tried).mean(0).astype(np.float64)
    visited = rng.choice(len(tried), size=count // 2, replace=False, p=wish / wish.sum())
    others = rng.permutation(np.setdiff1d(np.arange(len(tried)), visited))[: count - len(visited)]
    seeds: Rows = tried[np.sort(np.concatenate([visited, others]))]
    return seeds


def _wishes(shop: DemoShop, liking: Liking, items: Rows) -> FloatArray:
    """How much each shopper wants each item on an ordinary day, [shoppers, items]."""
    return wanted(utility(liking, np.arange(_SHOPPERS)[:, None], shop.items, items[None, :], shop.lifts[0]))


def _best_of_blocks(
    shop: DemoShop, liking: Liking, weight: FloatArray, available: Rows
) -> list[tuple[Rows, FloatArray]]:
    """(items, their worth) for each seed, enough of the best ones; memory does not grow with the catalogue."""
    most = _KEPT * int(np.bincount(shop.items.product).max())
    kept: list[list[tuple[Rows, FloatArray]]] = [[] for _ in range(weight.shape[1])]
    for start in range(0, len(available), _ITEMS_AT_ONCE):
        items = available[start : start + _ITEMS_AT_ONCE]
        worth = weight.T @ _wishes(shop, liking, items)  # [seeds, items]
        for place, values in enumerate(worth):
            best = np.sort(np.argpartition(-values, min(most, len(values)) - 1)[:most])
            kept[place].append((items[best], values[best]))
    return [
        (np.concatenate([items for items, _ in parts]), np.concatenate([values for _, values in parts]))
        for parts in kept
    ]
