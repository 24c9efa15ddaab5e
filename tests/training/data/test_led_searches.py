"""Which searches led somewhere: by the request that a choice names, else by the user's last search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from shopfuse.training.data.led_searches import NO_SEARCHES, LedSearches, led_searches, shared_searches

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
COLUMNS = ("minute", "event_name", "user", "request_id", "query", "row")


def led(*rows: tuple[float, str, int, str | None, str | None, int]) -> set[tuple[str, int, int]]:
    frame = pl.DataFrame(
        rows, COLUMNS, orient="row", schema_overrides={"user": pl.Int32, "row": pl.Int32, "request_id": pl.String}
    )
    frame = frame.with_columns(timestamp=pl.Series([START + timedelta(minutes=row[0]) for row in rows]))
    found = led_searches(frame.sort("timestamp"))
    return set(zip(found.query, found.user.tolist(), found.row.tolist(), strict=True))


def test_a_choice_belongs_to_the_search_of_its_request() -> None:
    assert led(
        (0, "search", 1, "r1", "red  Lamp", -1),
        (1, "search", 1, "r2", "rug", -1),
        (2, "select_item", 1, "r1", None, 7),
        (3, "purchase", 1, "r1", None, 7),
        (4, "add_to_cart", 1, "r3", None, 8),
    ) == {("red Lamp", 1, 7)}


def test_a_choice_that_names_no_request_belongs_to_its_users_last_search_of_half_an_hour() -> None:
    assert led(
        (0, "search", 1, None, "lamp", -1),
        (1, "search", 2, None, "rug", -1),
        (5, "add_to_cart", 1, None, None, 7),
        (31.5, "purchase", 1, None, None, 8),
        (20, "purchase", 3, None, None, 9),
    ) == {("lamp", 1, 7)}


def test_looking_at_an_item_and_events_of_nobody_lead_nowhere() -> None:
    assert (
        led(
            (0, "search", 1, "r1", "lamp", -1),
            (1, "view_item", 1, "r1", None, 7),
            (2, "search", -1, "r2", "rug", -1),
            (3, "select_item", -1, "r2", None, 7),
            (4, "select_item", 1, "r1", None, -1),
        )
        == set()
    )


def test_searches_are_shared_by_different_users_and_not_by_one_that_repeats_them() -> None:
    rows = [("lamp", 1, 7), ("Lamp", 2, 7), ("lamp", 3, 8), *(("rug", 1, row) for row in range(9))]
    queries, users, items = zip(*rows, strict=True)
    log = LedSearches(list(queries), np.array(users, np.int32), np.array(items, np.int32))

    (shared,) = shared_searches(log, 3)

    assert (shared.text, shared.users, sorted(shared.rows.tolist())) == ("lamp", 3, [7, 7, 8])
    assert not list(shared_searches(log, 4))
    assert not list(shared_searches(NO_SEARCHES, 2))
