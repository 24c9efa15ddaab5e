"""The demo shop's true similar items: what who wants one item wants, too."""

import numpy as np
import polars as pl
import pytest

from shopfuse.datasets.demo_shop.truth.similar import similar_truth
from shopfuse.datasets.demo_shop.world.world import DemoShop, simulate_shop


@pytest.fixture(scope="module")
def shop() -> DemoShop:
    return simulate_shop(items=400, users=300, days=5, seed=3)


@pytest.fixture(scope="module")
def truth(shop: DemoShop) -> pl.DataFrame:
    return similar_truth(shop, _ids(shop))


def _ids(shop: DemoShop) -> pl.Series:
    return pl.Series("item_id", [f"{row}" for row in range(len(shop.items))])


def test_a_seed_is_never_among_its_own_similar_items(truth: pl.DataFrame) -> None:
    assert truth.filter(pl.col("seed_item_id") == pl.col("item_id")).is_empty()
    assert truth["seed_item_id"].n_unique() == 300
    assert set(truth["grade"]) == {1, 2, 3}


def test_only_what_can_be_bought_is_similar(shop: DemoShop, truth: pl.DataFrame) -> None:
    rows = truth["item_id"].cast(pl.Int64).to_numpy()

    assert shop.items.available[rows].all()


def test_similar_items_share_a_category_more_than_chance(shop: DemoShop, truth: pl.DataFrame) -> None:
    seeds, items = (truth[name].cast(pl.Int64).to_numpy() for name in ("seed_item_id", "item_id"))

    same = (shop.items.leaf[seeds] == shop.items.leaf[items]).mean()
    by_chance = (shop.items.leaf[np.random.default_rng(0).permutation(seeds)] == shop.items.leaf[items]).mean()

    assert same > 2 * by_chance


def test_the_same_shop_has_the_same_truth(shop: DemoShop, truth: pl.DataFrame) -> None:
    assert similar_truth(shop, _ids(shop)).equals(truth)
