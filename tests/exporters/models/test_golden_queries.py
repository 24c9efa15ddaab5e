"""Golden queries: what the shop's users ask, or else what its catalogue holds; never none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl
import pytest

from shopfuse.datasets.schema import EVENT_SCHEMA, ITEM_SCHEMA
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse_exporters.errors import BuildError
from shopfuse_exporters.models.golden_queries import FREQUENT, QUERIES, golden_queries, spread

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def catalogue(titles: Sequence[str]) -> Catalogue:
    rows = [
        {"item_id": f"i{at:03d}", "title": title, "brand": "Acme", "category": ["home", "lamps"], "available": True}
        for at, title in enumerate(titles)
    ]
    return load_catalogue(pl.DataFrame([dict.fromkeys(ITEM_SCHEMA) | row for row in rows], ITEM_SCHEMA))


def searches(counts: dict[str, int]) -> pl.LazyFrame:
    rows = [
        dict.fromkeys(EVENT_SCHEMA)
        | {"event_id": f"{query}{at}", "event_name": "search", "timestamp": DAY, "query": query}
        for query, count in counts.items()
        for at in range(count)
    ]
    return pl.DataFrame(rows, EVENT_SCHEMA).lazy()


def test_the_most_frequent_searches_come_first_and_some_rare_ones_are_there() -> None:
    counts = {f"query {number:03d}": 300 - number for number in range(300)}

    chosen = golden_queries(searches(counts), catalogue(["red lamp"]))
    assert len(chosen) == len(set(chosen)) == QUERIES
    assert chosen[:FREQUENT] == [f"query {number:03d}" for number in range(FREQUENT)]
    assert chosen[-1] == "query 299"


def test_a_shop_without_searches_is_asked_for_its_titles_and_brands() -> None:
    chosen = golden_queries(searches({}), catalogue(["big red oak lamp", "blue chair", "green table of steel"]))

    assert chosen == ["big red oak", "Acme lamps", "green table of"]


def test_the_catalogue_fills_up_what_few_searches_leave() -> None:
    chosen = golden_queries(searches({"lamp": 3, "  ": 2, "!?": 1}), catalogue(["red lamp"]))

    assert chosen == ["lamp", "red lamp"]


def test_the_same_shop_gives_the_same_queries() -> None:
    events, items = searches({"b": 1, "a": 1, "c": 2}), catalogue([f"lamp {number}" for number in range(500)])

    first, second = golden_queries(events, items), golden_queries(events, items)
    assert first == second
    assert first[:3] == ["c", "a", "b"]
    assert len(first) == QUERIES


def test_nothing_to_ask_is_refused() -> None:
    with pytest.raises(BuildError, match="no golden query can be drawn: no search is logged and no item has a title"):
        golden_queries(searches({}), catalogue(["--"]))


def test_spread_takes_both_ends() -> None:
    assert spread("abcdefg", 3) == ["a", "d", "g"]
    assert spread("ab", 3) == ["a", "b"]
    assert spread("", 3) == []
