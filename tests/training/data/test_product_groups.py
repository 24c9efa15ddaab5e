"""What happened to one variant is known of all of its product: a new variant is not cold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from shopfuse.datasets.schema import ITEM_SCHEMA
from shopfuse.ranking.repeats import DAY_S
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.event_log import IMPRESSION, Events
from shopfuse.training.data.item_statistics import item_rows_at
from shopfuse.training.data.user_histories import user_histories

NOW = 1_790_000_000.0
SHARED = ("popularity", "click_rate", "cart_rate", "purchase_rate", "repeat_interval", "repeat_rate")


@pytest.fixture
def catalogue() -> Catalogue:
    """Items 0 and 3 are variants; 1 and 2 stand alone."""
    groups = ["kestrel", None, None, "kestrel"]
    rows = [
        dict.fromkeys(ITEM_SCHEMA)
        | {"item_id": f"i{row}", "title": "thing", "description": "", "category": ["A"], "attributes": []}
        | {"available": True, "group_id": group, "price": 10.0 + row}
        for row, group in enumerate(groups)
    ]
    return load_catalogue(pl.DataFrame(rows, ITEM_SCHEMA))


def events(*deeds: tuple[int, str, float]) -> Events:
    """Of (row, kind, days ago), by one user, oldest first."""
    count = len(deeds)
    kinds = {"impression": IMPRESSION, **EVENT_CODES}
    return Events(
        at=np.array([NOW - days * DAY_S for _, _, days in deeds]),
        kind=np.array([kinds[kind] for _, kind, _ in deeds], np.int8),
        row=np.array([row for row, _, _ in deeds], np.int32),
        user=np.zeros(count, np.int32),
        session=np.zeros(count, np.int32),
        request=np.full(count, -1, np.int32),
        position=np.zeros(count, np.int16),
        scene=np.full(count, -1, np.int8),
    )


DEEDS = events(
    *((3, kind, 40.0) for kind in ("impression", "select_item", "add_to_cart", "purchase")),
    *((1, kind, 30.0) for kind in ("impression", "impression", "select_item")),
    (3, "purchase", 10.0),
)


def test_every_variant_has_the_numbers_of_its_product(catalogue: Catalogue) -> None:
    rows = item_rows_at(catalogue, DEEDS, NOW)

    for name in SHARED:
        assert rows[name][0] == rows[name][3], name
    assert rows["popularity"][0] > rows["popularity"][1] > rows["popularity"][2] == 0.0
    assert rows["price"].tolist() == [10.0, 11.0, 12.0, 13.0]  # what a variant is stays its own


def test_a_purchase_in_one_variant_is_remembered_of_the_product(catalogue: Catalogue) -> None:
    deeds = events((3, "purchase", 40.0), (1, "view_item", 30.0), (0, "purchase", 10.0))
    rows, repeats, _ = user_histories(deeds, 1, catalogue.group).remembered(0, NOW)

    assert rows.tolist() == [0, 1]
    assert repeats["bought"].tolist() == [2, 0] and repeats["occasions"].tolist() == [2, 1]


def test_a_history_tells_which_variants_they_were(catalogue: Catalogue) -> None:
    deeds = events((3, "view_item", 40.0), (1, "view_item", 30.0), (0, "view_item", 10.0))
    history = user_histories(deeds, 1, catalogue.group).history(0, NOW, item_rows_at(catalogue, deeds, NOW))

    assert history.rows.tolist() == [0, 1, 0]
    assert history.variants.tolist() == [3, 1, 0]


def test_what_came_of_another_variant_came_of_the_one_that_was_shown(catalogue: Catalogue) -> None:
    deeds = events(
        *((0, "impression", 9.0), (1, "impression", 9.0)),  # request 5 showed one variant,
        *((0, "select_item", 8.0), (3, "purchase", 7.0), (2, "purchase", 7.0)),
        *((0, "impression", 6.0), (3, "impression", 6.0)),  # request 6 both,
        *((3, "purchase", 5.0),),
        *((3, "purchase", 4.0),),  # and nothing led to this
    )
    deeds = replace(deeds, request=np.array([5, 5, 5, 5, 5, 6, 6, 6, -1], np.int32))

    assert deeds.as_shown(catalogue.group).row.tolist() == [0, 1, 0, 0, 2, 0, 3, 3, 3]
    alone = np.arange(4, dtype=np.int32)
    assert deeds.as_shown(alone).row.tolist() == deeds.row.tolist()
    assert len(deeds.take(np.zeros(0, np.int64)).as_shown(catalogue.group)) == 0
