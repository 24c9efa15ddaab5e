"""What a shop shows before anybody did anything: deterministic, diverse, presentable first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.event_log import Events
from shopfuse.training.data.first_day import SHOWCASE, popular_scores, showcase_order

KINDS = ("Phones",) * 60 + ("Shoes",) * 20 + ("Lamps",) * 10
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def catalogue(**changes: list[Any]) -> Catalogue:
    """Of 90 items, alike but for their categories, their prices (10, 11, ...), and what is changed."""
    count = len(KINDS)
    columns: dict[str, Any] = {
        "item_id": [f"i{row:03d}" for row in range(count)],
        "title": ["thing"] * count,
        "description": ["as good as any other"] * count,
        "brand": ["Acme"] * count,
        "category": [["Shop", kind] for kind in KINDS],
        "price": [10.0 + row for row in range(count)],
        "currency": ["EUR"] * count,
        "attributes": [[{"name": "Colour", "value": "red"}]] * count,
        "image_uri": [None] * count,
        "available": [True] * count,
        "published_at": [FIRST] * count,
        "group_id": [None] * count,
    }
    texts = dict.fromkeys(("image_uri", "brand", "group_id"), pl.String)
    frame = pl.DataFrame(columns | changes, schema_overrides=texts)
    return load_catalogue(frame, pl.Series([f"i{row:03d}" for row in range(count)]))


def events(rows: list[int], user: int = -1) -> Events:
    """One look at each, by people whom nobody knows, or all by one user."""
    count = len(rows)
    nobody = np.full(count, -1, np.int32)
    return Events(
        at=np.arange(count, dtype=np.float64),
        kind=np.full(count, EVENT_CODES["view_item"], np.int8),
        row=np.array(rows, np.int32),
        user=np.full(count, user, np.int32),
        session=nobody,
        request=nobody,
        position=np.full(count, -1, np.int16),
        scene=np.full(count, -1, np.int8),
    )


def kinds(rows: np.ndarray[Any, Any]) -> list[str]:
    return [KINDS[row] for row in rows.tolist()]


def test_categories_take_turns_and_larger_ones_come_more_often() -> None:
    first = kinds(showcase_order(catalogue())[:30])

    assert set(first[:3]) == set(KINDS)
    assert first.count("Phones") > first.count("Shoes") > first.count("Lamps") >= 5


def test_every_item_is_there_once_and_the_order_is_always_the_same() -> None:
    order = showcase_order(catalogue())

    assert sorted(order.tolist()) == list(range(len(KINDS)))
    assert order.tolist() == showcase_order(catalogue()).tolist()


@pytest.mark.parametrize(
    ("column", "poor"),
    [
        ("description", ""),
        ("brand", None),
        ("attributes", []),
        ("published_at", FIRST - timedelta(days=400)),
        ("price", None),
        ("price", 10_000.0),
    ],
)
def test_a_poor_item_comes_after_its_like(column: str, poor: object) -> None:
    values = catalogue().frame[column].to_list()
    values[25] = poor
    order = showcase_order(catalogue(**{column: values})).tolist()

    phones = [row for row in order if KINDS[row] == "Phones" and 10 <= row < 50]  # at usual prices
    assert phones[-1] == 25


def test_an_item_without_an_image_comes_after_its_like() -> None:
    shop = catalogue()
    images = shop.has_image.copy()
    images[25] = False
    order = showcase_order(replace(shop, has_image=images)).tolist()

    assert [row for row in order if KINDS[row] == "Phones" and 10 <= row < 50][-1] == 25


def test_what_is_not_available_comes_last() -> None:
    gone = [row for row in range(len(KINDS)) if row % 2]
    order = showcase_order(catalogue(available=[row not in gone for row in range(len(KINDS))]))

    assert sorted(order[-len(gone) :].tolist()) == gone


def test_without_events_the_popular_channel_says_the_showcase_and_claims_little() -> None:
    shop = catalogue()
    scores = popular_scores(np.zeros(len(shop), np.float32), events([]), shop)

    assert np.argsort(-scores, kind="stable").tolist() == showcase_order(shop).tolist()
    assert scores.min() > 0.0 and scores.max() <= SHOWCASE < 0.5
    assert len(np.unique(scores)) == len(shop)


def test_what_has_events_leads_and_the_showcase_follows() -> None:
    shop, popularity = catalogue(), np.zeros(len(KINDS), np.float32)
    popularity[[70, 5]] = [1.0, 1e-3]
    scores = popular_scores(popularity, events([70] * 50 + [5]), shop)
    order = np.argsort(-scores, kind="stable").tolist()

    assert order[:2] == [70, 5]
    assert order[2:] == [row for row in showcase_order(shop).tolist() if row not in (70, 5)]


def test_a_few_events_make_nothing_popular() -> None:
    shop, popularity = catalogue(), np.zeros(len(KINDS), np.float32)
    popularity[3] = 1.0
    once, often = (popular_scores(popularity, events([3] * times), shop)[3] for times in (1, 1000))

    assert once < 0.1 < 0.9 < often


def test_many_events_of_one_user_make_nothing_popular() -> None:
    shop, popularity = catalogue(), np.zeros(len(KINDS), np.float32)
    popularity[3] = 1.0
    once, often = (popular_scores(popularity, events([3] * times, user=7), shop)[3] for times in (1, 1000))

    assert once == often < 0.1


def test_an_empty_catalogue_has_an_empty_order() -> None:
    assert popular_scores(np.zeros(0, np.float32), events([]), load_catalogue(catalogue().frame[:0])).shape == (0,)
