"""A demo shop whose products come in colours and sizes: what variants share, who takes which, what a list is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shopfuse.datasets.demo_shop.behaviour.reactions import own_build, simulate_day
from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.demo_shop.truth.graded import recommend_truth
from shopfuse.datasets.demo_shop.world.items import NO_SIZE
from shopfuse.datasets.demo_shop.world.variants import sizes_of
from shopfuse.datasets.demo_shop.world.world import DemoShop, DemoShopError, simulate_shop
from shopfuse.datasets.workspace import Workspace

ITEMS, USERS, DAYS, SEED = 500, 400, 6, 4
GROUPS = 0.6


def simulated(groups: float) -> DemoShop:
    return simulate_shop(items=ITEMS, users=USERS, days=DAYS, seed=SEED, groups=groups)


def built(root: Path) -> Workspace:
    workspace = Workspace.create(root)
    build_demo_shop(workspace, items=ITEMS, users=USERS, days=DAYS, seed=SEED, images=False, groups=GROUPS)
    return workspace


@pytest.fixture(scope="module")
def shop() -> DemoShop:
    return simulated(GROUPS)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return built(tmp_path_factory.mktemp("variants") / "shop")


@pytest.fixture(scope="module")
def items(workspace: Workspace) -> pl.DataFrame:
    return workspace.items().collect()


def test_about_the_asked_share_of_the_items_are_variants(shop: DemoShop) -> None:
    assert 0.45 < np.mean(shop.items.size != NO_SIZE) < 0.75
    assert (simulated(0.0).items.size == NO_SIZE).all()


@pytest.mark.parametrize("groups", [-0.1, 1.0])
def test_a_share_that_no_shop_has_is_refused(groups: float) -> None:
    with pytest.raises(DemoShopError, match="'groups' must be a share"):
        simulated(groups)


def test_variants_share_the_product_and_differ_in_colour_or_size(items: pl.DataFrame) -> None:
    groups = items.filter(pl.col("group_id").is_not_null()).group_by("group_id")
    shared = groups.agg(pl.col("brand", "category", "description").n_unique(), pl.col("title").n_unique(), pl.len())

    assert len(shared) > 20 and (shared["len"] > 5).any()
    assert (shared["category"] == 1).all() and (shared["description"] == 1).all() and (shared["brand"] == 1).all()
    assert (shared["title"] == shared["len"]).all()
    assert (groups.agg(pl.col("price").n_unique())["price"] > 1).any()
    assert (groups.agg(pl.col("available").n_unique())["available"] == 2).any()


def test_a_title_ends_with_the_colour_and_size_that_the_attributes_say(items: pl.DataFrame) -> None:
    variant = items.filter(pl.col("group_id").is_not_null()).row(0, named=True)
    said = {pair["name"]: pair["value"] for pair in variant["attributes"]}

    assert variant["title"].endswith(f", {said['colour']}, {said['size']}")


def test_a_list_shows_a_product_once(shop: DemoShop) -> None:
    log = simulate_day(shop, 2)
    shown = np.where(log.filled, shop.items.product[log.slates], -1 - np.arange(log.slates.shape[1]))

    assert all(len(set(row)) == len(row) for row in shown.tolist())


def test_what_is_bought_is_of_the_clicked_product_and_mostly_in_the_shoppers_size(shop: DemoShop) -> None:
    logs = [simulate_day(shop, day) for day in range(6)]
    misfits, switched = [], 0
    for log in logs:
        row, slot = np.nonzero(log.carted & (shop.items.size[log.slates] != NO_SIZE))
        shown, taken = log.slates[row, slot], log.taken[row, slot]
        assert (shop.items.product[shown] == shop.items.product[taken]).all()
        assert shop.items.available[taken].all()
        sizes = np.array([len(sizes_of(leaf)) for leaf in shop.leaves])[shop.items.leaf[taken]]
        build = own_build(shop, log.requests.people[log.requests.person[row]])
        misfits += np.abs(shop.items.size[taken] - np.floor(build * sizes)).tolist()
        switched += int((shown != taken).sum())
        rest = ~(log.carted & (shop.items.size[log.slates] != NO_SIZE))
        assert (log.taken[rest] == log.slates[rest]).all()

    assert len(misfits) > 30 and switched > 10
    assert np.mean(misfits) < 1.5  # of any variant it would be about 2


def test_all_variants_of_a_product_have_its_grade(items: pl.DataFrame, workspace: Workspace) -> None:
    group = items.select("item_id", product=pl.coalesce("group_id", "item_id"))
    for path in (workspace.paths.search_truth, workspace.paths.recommend_truth, workspace.paths.similar_truth):
        rows = pl.read_parquet(path).join(group, on="item_id")
        topic = [name for name in ("query", "user_id", "scene", "seed_item_id") if name in rows.columns]
        grades = rows.group_by(*topic, "product").agg(pl.col("grade").n_unique(), pl.len())

        assert (grades["grade"] == 1).all() and (grades["len"] > 1).any()
        assert rows.join(items.filter(~pl.col("available")), on="item_id", how="inner").is_empty()
        assert (grades.group_by(topic).len("products")["products"] <= 60).all()


def test_an_item_is_not_like_another_variant_of_it(items: pl.DataFrame, workspace: Workspace) -> None:
    group = items.select("item_id", product=pl.coalesce("group_id", "item_id"))
    seeds = group.rename({"item_id": "seed_item_id", "product": "of_seed"})
    rows = pl.read_parquet(workspace.paths.similar_truth).join(group, on="item_id").join(seeds, on="seed_item_id")

    assert rows.filter(pl.col("product") == pl.col("of_seed")).is_empty()


def test_who_bought_one_variant_wants_no_other(shop: DemoShop) -> None:
    variants = np.flatnonzero(shop.items.size != NO_SIZE)
    every = {user: {int(variants[user % len(variants)])} for user in range(len(shop.users))}
    truth = recommend_truth(shop, every)

    for judged in truth.judged:
        bought = every[int(truth.people[judged.asker])]
        assert not set(shop.items.product[judged.items]) & set(shop.items.product[list(bought)])


def test_the_same_seed_gives_the_same_variants(items: pl.DataFrame, tmp_path: Path) -> None:
    again = built(tmp_path / "again")

    assert again.items().collect().equals(items)
