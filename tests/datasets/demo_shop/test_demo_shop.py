"""The demo shop as it lies on disk: reproducible, complete, in the tables' schemas, and possible in time."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.demo_shop.world.world import DemoShopError
from shopfuse.datasets.importing.values.field_values import as_item_id
from shopfuse.datasets.schema import EVENT_SCHEMA, IMAGE_SCHEMA, ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.features import DEVICES

ITEMS, USERS, DAYS = 300, 200, 7


def build(root: Path, seed: int = 5, images: bool = True) -> Workspace:
    workspace = Workspace.create(root)
    build_demo_shop(workspace, items=ITEMS, users=USERS, days=DAYS, seed=seed, images=images)
    return workspace


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return build(tmp_path_factory.mktemp("demo") / "shop")


@pytest.fixture(scope="module")
def events(shop: Workspace) -> pl.DataFrame:
    return shop.events().collect()


def digests(workspace: Workspace) -> dict[str, str]:
    files = (path for path in workspace.root.rglob("*") if path.suffix in (".parquet", ".toml"))
    return {str(path.relative_to(workspace.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_and_sizes_give_the_same_bytes(shop: Workspace, tmp_path: Path) -> None:
    again = build(tmp_path / "again")

    assert digests(again) == digests(shop)


def test_another_seed_gives_another_shop(shop: Workspace, tmp_path: Path) -> None:
    other = digests(build(tmp_path / "other", seed=6))

    assert all(other[name] != digest for name, digest in digests(shop).items() if name.endswith(".parquet"))


def test_without_images_everything_else_is_the_same(shop: Workspace, tmp_path: Path) -> None:
    bare = build(tmp_path / "bare", images=False)

    assert not bare.has_images
    assert digests(bare) == {name: d for name, d in digests(shop).items() if name != "catalogue/images.parquet"}


def test_catalogue_is_in_its_schema_sorted_and_clean(shop: Workspace) -> None:
    items = shop.items().collect()

    assert items.schema == ITEM_SCHEMA
    assert items["item_id"].to_list() == sorted(set(items["item_id"])) and len(items) == ITEMS
    assert all(as_item_id(item_id) == item_id for item_id in items["item_id"])
    assert (items["price"] > 0).all() and items["price"].is_finite().all()
    assert items["title"].str.len_chars().min() >= 5  # type: ignore[operator]
    assert set(items["category"].list.len()) == {3}
    assert not items["title"].str.contains(r"[{}]|  ").any() and not items["description"].str.contains(r"[{}]|  ").any()


def test_text_names_the_colour_of_few_items(shop: Workspace) -> None:
    attributes = shop.items().select("item_id", "attributes").explode("attributes").unnest("attributes").collect()
    named = attributes.filter(pl.col("name") == "colour")["item_id"].n_unique()

    assert 0.05 < named / ITEMS < 0.30


def test_every_item_has_an_image_of_64_by_64_with_a_product_on_it(shop: Workspace) -> None:
    images = shop.images().collect()
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(image))) for image in images["image"]])

    assert images.schema == IMAGE_SCHEMA
    assert images["item_id"].to_list() == shop.items().collect()["item_id"].to_list()
    assert pixels.shape == (ITEMS, 64, 64, 3)
    corner, middle = pixels[:, :8, :8].mean(axis=(1, 2, 3)), pixels[:, 20:44, 20:44].std(axis=(1, 2)).mean(axis=1)
    assert (corner > 180).all()
    assert np.mean(middle > 10) > 0.8


def test_events_are_in_their_schema_and_sorted_with_unique_ids(shop: Workspace, events: pl.DataFrame) -> None:
    assert events.schema == EVENT_SCHEMA
    assert events["event_id"].is_unique().all()
    assert events.equals(events.sort("timestamp", "event_id"))
    assert set(events["event_name"]) == {
        "view_item_list",
        "search",
        "select_item",
        "view_item",
        "add_to_cart",
        "purchase",
    }
    assert set(events["device"]) <= set(DEVICES)
    assert len(shop.paths.event_days) == DAYS
    assert shop.paths.event_days[-1] == shop.paths.events_of(date(2026, 6, 30))
    for path in shop.paths.event_days:
        days = pl.read_parquet(path, hive_partitioning=False)["timestamp"].dt.date().unique()
        assert days.to_list() == [date.fromisoformat(path.stem.removeprefix("date="))]


def test_a_list_has_up_to_twelve_distinct_items_in_slots_from_zero(events: pl.DataFrame) -> None:
    lists = events.filter(event_name="view_item_list").group_by("request_id").agg(pl.col("item_id"), pl.col("position"))

    assert all(len(set(items)) == len(items) for items in lists["item_id"].to_list())
    assert all(slots == list(range(len(slots))) and len(slots) <= 12 for slots in lists["position"].to_list())


def test_what_follows_a_list_was_shown_in_it_at_that_slot(events: pl.DataFrame) -> None:
    key = ["request_id", "item_id", "position", "user_id", "session_id", "list_name"]
    impressions = events.filter(event_name="view_item_list").select(key)
    clicks = events.filter(event_name="select_item").select(key)

    assert clicks.join(impressions, on=key, how="anti").is_empty()
    for later, earlier in (("view_item", "select_item"), ("add_to_cart", "view_item"), ("purchase", "add_to_cart")):
        followed = events.filter(event_name=later).select(key)
        assert len(followed) > 0
        assert followed.join(events.filter(event_name=earlier).select(key), on=key, how="anti").is_empty()


def test_only_searches_have_queries_and_only_sales_have_prices(events: pl.DataFrame) -> None:
    searches = events.filter(event_name="search")
    sold = events.filter(pl.col("event_name").is_in(["add_to_cart", "purchase"]))

    assert searches["query"].null_count() == 0 and searches["item_id"].null_count() == len(searches)
    assert events.filter(list_name="recommend")["query"].null_count() == events.filter(list_name="recommend").height
    assert sold["price"].null_count() == 0 and sold["quantity"].null_count() == 0
    assert searches["query"].str.split(" ").list.len().median() in (1.0, 2.0, 3.0)


def test_nothing_is_shown_before_it_is_published_nor_when_it_is_unavailable(
    shop: Workspace, events: pl.DataFrame
) -> None:
    impressions = events.filter(event_name="view_item_list").join(shop.items().collect(), on="item_id")

    assert (impressions["timestamp"].dt.date() >= impressions["published_at"].dt.date()).all()
    assert impressions["available"].all()
    assert shop.items().collect()["published_at"].max() > datetime(2026, 6, 24, tzinfo=UTC)  # type: ignore[operator]


def test_clicks_fall_with_the_slot(events: pl.DataFrame) -> None:
    def count(name: str, low: int, high: int) -> int:
        return events.filter((pl.col("event_name") == name) & pl.col("position").is_between(low, high)).height

    top = count("select_item", 0, 2) / count("view_item_list", 0, 2)
    bottom = count("select_item", 9, 11) / count("view_item_list", 9, 11)

    assert top > 1.5 * bottom


def test_scenes_shift_what_is_clicked(shop: Workspace, events: pl.DataFrame) -> None:
    groups = shop.items().select("item_id", pl.col("category").list.get(1).alias("group")).collect()
    clicks = events.filter(event_name="select_item").join(groups, on="item_id")

    def share(scene: str | None, names: list[str]) -> float:
        inside = clicks.filter(pl.col("scene").eq_missing(pl.lit(scene)))
        return inside.filter(pl.col("group").is_in(names)).height / inside.height

    holiday, campaign = ["Decor", "Kitchen", "Accessories"], ["Audio", "Computing", "Phones", "Fitness"]
    assert share("holiday", holiday) > 1.3 * share(None, holiday)
    assert share("campaign", campaign) > 1.3 * share(None, campaign)


def test_truth_is_selective_and_leaves_out_what_was_bought(shop: Workspace, events: pl.DataFrame) -> None:
    searches, users = pl.read_parquet(shop.paths.search_truth), pl.read_parquet(shop.paths.recommend_truth)
    bought = events.filter(event_name="purchase").select("user_id", "item_id")

    assert searches.columns == ["query", "user_id", "item_id", "grade", "scene"]
    assert users.columns == ["user_id", "item_id", "grade", "scene"]
    for truth, key in ((searches, ["query", "user_id", "scene"]), (users, ["user_id"])):
        sizes = truth.group_by(key).agg(pl.len(), (pl.col("grade") == 3).sum().alias("best"))
        assert set(truth["grade"]) == {1, 2, 3}
        assert not truth.select(*key, "item_id").is_duplicated().any()
        assert sizes["len"].is_between(1, 60).all() and sizes["best"].is_between(1, 7).all()
        assert set(truth["scene"]) == {None, "campaign", "holiday"}
    assert users.join(bought, on=["user_id", "item_id"], how="semi").is_empty()
    unavailable = shop.items().filter(~pl.col("available")).collect()
    assert users.join(unavailable, on="item_id", how="semi").is_empty()
    assert searches.join(unavailable, on="item_id", how="semi").is_empty()


def test_some_evaluated_users_have_little_history(shop: Workspace, events: pl.DataFrame) -> None:
    users = pl.read_parquet(shop.paths.recommend_truth).select("user_id").unique()
    clicks = events.filter(event_name="select_item").group_by("user_id").len()
    history = users.join(clicks, on="user_id", how="left")["len"].fill_null(0)

    assert 0.05 < (history < 4).mean() < 0.6  # type: ignore[operator]
    assert (history > 10).mean() > 0.2  # type: ignore[operator]


def test_progress_reports_every_stage_to_its_end(tmp_path: Path) -> None:
    steps: dict[str, tuple[int, int]] = {}

    def note(stage: str, done: int, total: int) -> None:
        steps[stage] = (done, total)

    build_demo_shop(Workspace.create(tmp_path / "s"), items=100, users=20, days=3, seed=0, progress=note)

    assert steps == {"items": (100, 100), "images": (100, 100), "events": (3, 3), "truth": (1, 1)}


def test_a_workspace_with_a_catalogue_is_refused(shop: Workspace) -> None:
    with pytest.raises(DemoShopError, match="needs a new workspace"):
        build_demo_shop(shop)


@pytest.mark.parametrize(
    ("name", "value"), [("items", 99), ("items", 5_000_001), ("users", 0), ("days", 2), ("days", 367), ("seed", -1)]
)
def test_a_size_out_of_bounds_is_refused_by_name(tmp_path: Path, name: str, value: int) -> None:
    sizes = {"items": 100, "users": 20, "days": 3, "seed": 0} | {name: value}

    with pytest.raises(DemoShopError, match=f"'{name}' must be between .* got {value}"):
        build_demo_shop(
            Workspace.create(tmp_path / "s"),
            items=sizes["items"],
            users=sizes["users"],
            days=sizes["days"],
            seed=sizes["seed"],
        )
