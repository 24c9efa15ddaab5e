"""The demo shop's reviews: by people who bought the item, after they bought it, and not to be read off the stars."""

from __future__ import annotations

import polars as pl
import pytest

from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.schema import REVIEW_SCHEMA
from shopfuse.datasets.workspace import Workspace


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.create(tmp_path_factory.mktemp("demo") / "shop")
    build_demo_shop(workspace, items=300, users=1500, days=21, seed=5, images=False)
    return workspace


@pytest.fixture(scope="module")
def reviews(shop: Workspace) -> pl.DataFrame:
    return shop.reviews().collect()


def test_reviews_are_in_the_table_s_form(reviews: pl.DataFrame) -> None:
    assert reviews.schema == REVIEW_SCHEMA
    assert reviews["review_id"].is_unique().all()
    assert reviews["review_id"].is_sorted()
    assert not any(reviews.select(pl.all().has_nulls()).row(0))
    assert not reviews["text"].str.contains(r"[{}]").any()


def test_every_review_follows_a_purchase(shop: Workspace, reviews: pl.DataFrame) -> None:
    bought = shop.events().filter(pl.col("event_name") == "purchase").select("user_id", "item_id", bought="timestamp")
    paired = reviews.lazy().join(bought, on=["user_id", "item_id"]).filter(pl.col("bought") < pl.col("timestamp"))

    assert len(reviews) > 200
    assert paired.select("review_id").unique().collect().height == len(reviews)


def test_every_star_is_given_and_five_most(reviews: pl.DataFrame) -> None:
    counts = dict(reviews["rating"].value_counts().iter_rows())

    assert set(counts) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert max(counts, key=lambda stars: counts[stars]) == 5.0


@pytest.mark.parametrize("word", ["comfort", "anything but", "helpful|friendly|patient", "thin|stiff|brittle"])
def test_no_words_give_the_stars_away(reviews: pl.DataFrame, word: str) -> None:
    """Praise and complaints share their words: each occurs with good and with poor ratings."""
    told = reviews.filter(pl.col("text").str.to_lowercase().str.contains(word))["rating"]

    assert (told <= 3).any()
    assert (told >= 4).any()
