"""What is held out of a log: by time, or each user's newest event; and what cannot be divided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from shopfuse.datasets.schema import EVENT_SCHEMA, ITEM_SCHEMA
from shopfuse.evaluation.offline.holdout import DividedEvents, HoldoutError, leave_newest_out, split_by_time
from shopfuse.training.data.catalogue import Catalogue, load_catalogue

START = datetime(2026, 1, 1, tzinfo=UTC)
Row = tuple[float, str | None, str]  # hours from START, user, item


def catalogue(*ids: str) -> Catalogue:
    rows = [{"item_id": item_id, "title": item_id, "available": True} for item_id in sorted(ids)]
    return load_catalogue(pl.DataFrame(rows, schema=ITEM_SCHEMA))


def log(*rows: Row, name: str = "purchase") -> pl.LazyFrame:
    columns = [
        {
            "event_id": f"e{n:04d}",
            "event_name": name,
            "timestamp": START + timedelta(hours=at),
            "user_id": user,
            "item_id": item,
        }
        for n, (at, user, item) in enumerate(rows)
    ]
    return pl.DataFrame(columns, schema=EVENT_SCHEMA).lazy()


def relevant(divided: DividedEvents, shop: Catalogue) -> dict[str, set[str]]:
    holdout = divided.holdout
    return {
        user: {shop.ids[row] for row in holdout.items[holdout.starts[place] : holdout.starts[place + 1]]}
        for place, user in enumerate(holdout.users)
    }


SHOP = catalogue("a", "b", "c", "d")
EVENTS = log(
    (0, "ann", "a"),
    (10, "bob", "b"),
    (20, None, "c"),
    (30, "ann", "b"),
    (49.9, "cid", "a"),
    (50, "bob", "c"),
    (60, "ann", "d"),
    (60, "ann", "d"),
    (70, "ann", "c"),
    (71, None, "c"),
    (72, "dan", "gone"),
    (74, "bob", "b"),
)


def test_a_split_holds_out_what_each_user_did_from_then_on() -> None:
    divided = split_by_time(EVENTS, SHOP, "1d")

    assert relevant(divided, SHOP) == {"bob": {"b", "c"}, "ann": {"c", "d"}}
    moments = dict(zip(divided.holdout.users, divided.holdout.at.tolist(), strict=True))
    assert moments == {user: (START + timedelta(hours=at)).timestamp() for user, at in (("bob", 50), ("ann", 60))}
    assert divided.split_at == (START + timedelta(hours=50)).timestamp()
    assert all(at < START + timedelta(hours=50) for at in divided.known["timestamp"])
    assert len(divided.known) == 5


def test_leave_one_out_takes_the_newest_of_those_with_enough_and_nothing_else() -> None:
    divided = leave_newest_out(EVENTS, SHOP)

    assert relevant(divided, SHOP) == {"ann": {"c"}, "bob": {"b"}}
    known = divided.known.select("user_id", "item_id").rows()
    assert ("ann", "c") not in known and known.count(("bob", "b")) == 1
    assert len(known) == 10


def test_what_comes_in_the_same_moment_after_the_newest_by_id_is_not_known_either() -> None:
    events = log((0, "ann", "a"), (5, "ann", "b"), (9, "ann", "c"), (9, "ann", "d"), (9, "bob", "a"))

    divided = leave_newest_out(events, SHOP)

    assert relevant(divided, SHOP) == {"ann": {"d"}}
    assert divided.known["item_id"].to_list() == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    ("events", "span", "message"),
    [
        (log(), "1d", "the shop has no events"),
        (log((0, "ann", "a"), name="view_item_list"), "1d", "none of the 1 events is one on an item"),
        (log((0, "ann", "a"), (0, "bob", "b")), "1d", "all 2 events are of one second"),
        (EVENTS, "4d", "0 events lie before it and 11 from it on; the events span 3.1 days"),
        (EVENTS, "two weeks", "expected a number of days or hours"),
        (EVENTS, "0d", "expected a number of days or hours"),
        (log((0, "ann", "a"), (50, None, "b")), "1d", "none of the 1 events held out is of a named user"),
        (log((0, "ann", "a"), (50, "ann", "gone")), "1d", "an item that the catalogue holds"),
        (log((0, "ann", "a"), (50, "ann", "b")), "", "no user has 3 events"),
    ],
)
def test_events_that_cannot_be_divided_are_told_with_what_would_work(
    events: pl.LazyFrame, span: str, message: str
) -> None:
    with pytest.raises(HoldoutError, match=message):
        split_by_time(events, SHOP, span) if span else leave_newest_out(events, SHOP)
