"""Machines, repeats and outliers are taken out of a log; shoppers, however keen, are not."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from shopfuse.datasets.demo_shop.behaviour.intruders import MACHINES, with_intruders
from shopfuse.datasets.schema import EVENT_SCHEMA
from shopfuse.training.data.cleaning import clean_events, cleaning_lines
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.data.user_histories import last_moment
from tests.training.conftest import Shop

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def log(*rows: dict[str, object]) -> pl.DataFrame:
    """Events, a minute apart unless they say `at` (seconds after START)."""
    whole = [
        {
            "event_id": f"e{number:06}",
            "event_name": "select_item",
            "timestamp": START + timedelta(seconds=float(str(row.get("at", 60 * number)))),
            "item_id": f"item-{number % 7}",
            "user_id": "ann",
            "session_id": f"{row.get('user_id', 'ann')}-1",
            **{name: value for name, value in row.items() if name != "at"},
        }
        for number, row in enumerate(rows)
    ]
    return pl.DataFrame(whole, schema=EVENT_SCHEMA).sort("timestamp", "event_id")


def shoppers(count: int = 40, clicks: int = 12) -> list[dict[str, object]]:
    """A dozen clicks of each of some ordinary shoppers."""
    return [
        {"user_id": f"shopper-{user}", "at": 400 * click + user} for user in range(count) for click in range(clicks)
    ]


def removed_users(events: pl.DataFrame) -> set[str]:
    kept, _ = clean_events(events)
    return set(events["user_id"].drop_nulls()) - set(kept["user_id"].drop_nulls())


def test_planted_machines_and_repeats_go_and_all_else_stays(shop: Shop) -> None:
    clean = shop.workspace.events().sort("timestamp", "event_id").collect()
    planted = with_intruders(clean, machines=2, repeats=0.02, seed=1)

    kept, cleaning = clean_events(planted)

    assert removed_users(planted) == {f"bot-{kind}-{number}" for kind in MACHINES for number in range(2)}
    assert kept["event_id"].to_list() == clean["event_id"].to_list()
    rules = cleaning.record()["rules"]
    assert {"repeated events", "bots: too fast", "bots: around the clock", "bots: never a click"} == set(rules)
    assert cleaning.removed == len(planted) - len(clean)
    assert any("repeated events: " in line for line in cleaning_lines(cleaning.record()))


def test_the_log_that_trains_is_the_cleaned_one(shop: Shop) -> None:
    planted = with_intruders(shop.workspace.events().collect(), machines=1, repeats=0.01, seed=2)

    trained = load_event_log(planted.lazy(), shop.catalogue)

    assert len(trained.events) == len(shop.log.events)
    assert (trained.events.at == shop.log.events.at).all()
    assert trained.cleaning.removed == len(planted) - shop.log.cleaning.events
    assert shop.log.cleaning.removals == ()


def test_a_keen_shopper_is_no_machine() -> None:
    """Ten times the clicks of others, 150 in an hour, a click a second for a while, up for 18 hours."""
    hours: list[dict[str, object]] = [{"user_id": "keen", "at": 3600 * hour + 5} for hour in range(18)]
    rush: list[dict[str, object]] = [{"user_id": "keen", "at": 24 * click} for click in range(150)]
    burst: list[dict[str, object]] = [{"user_id": "keen", "at": 50_000 + click} for click in range(40)]

    assert removed_users(log(*shoppers(), *hours, *rush, *burst)) == set()


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("too many actions", [{"user_id": "bot", "at": 11 * click} for click in range(320)]),
        ("too fast", [{"user_id": "bot", "at": 0.3 * click} for click in range(60)]),
        ("around the clock", [{"user_id": "bot", "at": 1800 * click} for click in range(80)]),
    ],
)
def test_each_sign_of_a_machine_is_seen(rule: str, rows: list[dict[str, object]]) -> None:
    events = log(*shoppers(), *rows)

    kept, cleaning = clean_events(events)

    assert "bot" not in kept["user_id"]
    assert [removal.rule for removal in cleaning.removals] == [f"bots: {rule}"]
    assert len(kept) == len(shoppers())


def test_clicks_on_what_no_list_showed_are_a_machine_s() -> None:
    def pair(user: str, number: int, listed_item: str) -> list[dict[str, object]]:
        request: dict[str, object] = {"user_id": user, "request_id": f"{user}-{number}", "position": 0}
        at = 900 * number
        listed = {"event_name": "view_item_list", "item_id": listed_item, "at": at}
        return [{**request, **listed}, {**request, "item_id": "item-1", "at": at + 5}]

    honest = [row for user in range(20) for number in range(3) for row in pair(f"shopper-{user}", number, "item-1")]
    forged = [row for number in range(35) for row in pair("bot", number, "item-2")]

    assert removed_users(log(*honest, *forged)) == {"bot"}
    assert removed_users(log(*honest, *forged[: 2 * 20])) == set()  # too few clicks to judge


def test_orders_of_no_ordinary_trade_go() -> None:
    orders: list[dict[str, object]] = [
        {"event_name": "purchase", "item_id": "item-1", "price": 20.0 + n % 3, "quantity": 1} for n in range(30)
    ]
    odd: list[dict[str, object]] = [
        {"price": 0.01},
        {"price": 0.0},
        {"price": 9_000.0},
        {"quantity": 5_000},
        {"quantity": 0},
    ]
    sale: dict[str, object] = {"price": 5.0, "quantity": 12}
    events = log(*orders, *({**orders[0], **change} for change in (*odd, sale)))

    kept, cleaning = clean_events(events)

    assert len(events) - len(kept) == len(odd)
    assert 5.0 in kept["price"]
    assert {removal.rule: removal.events for removal in cleaning.removals} == {"odd prices": 3, "odd quantities": 2}


def test_a_moment_far_from_all_others_goes() -> None:
    events = log(*shoppers(), {"at": 3e9}, {"at": -1e9})

    kept, cleaning = clean_events(events)

    assert len(kept) == len(shoppers())
    assert [removal.rule for removal in cleaning.removals] == ["stray moments"]
    assert last_moment(events.lazy()) == last_moment(kept.lazy())


def test_a_rule_that_finds_too_many_removes_nothing_and_warns() -> None:
    """A log that knows only the minute: everybody seems to click sixty times in no time."""
    events = log(*({"user_id": f"shopper-{user}", "at": 60 * (n // 60)} for user in range(9) for n in range(120)))

    kept, cleaning = clean_events(events)

    assert len(kept) > 0.1 * len(events)
    assert [(removal.rule, removal.applied) for removal in cleaning.removals if "fast" in removal.rule] == [
        ("bots: too fast", False)
    ]
    assert any(line.startswith("warning: bots: too fast") for line in cleaning_lines(cleaning.record()))


def test_guests_under_one_id_are_judged_by_their_sessions() -> None:
    guests = [
        {"user_id": "guest", "session_id": f"visit-{visit}", "at": 120 * visit + 30 * click}
        for visit in range(800)
        for click in range(3)
    ]

    assert removed_users(log(*guests)) == set()


def test_an_empty_log_is_clean() -> None:
    kept, cleaning = clean_events(pl.DataFrame(schema=EVENT_SCHEMA))

    assert kept.is_empty()
    assert cleaning.record() == {"events": 0, "removed": 0, "rules": {}}


def test_what_is_sold_by_the_thousand_is_not_odd_and_ten_thousand_of_anything_else_is() -> None:
    fuel: list[dict[str, object]] = [
        {"event_name": "purchase", "item_id": "fuel", "quantity": 9_000 + 50 * n} for n in range(12)
    ]
    milk: list[dict[str, object]] = [
        {"event_name": "purchase", "item_id": "milk", "quantity": 1 + n % 2} for n in range(40)
    ]
    rare: dict[str, object] = {"event_name": "purchase", "item_id": "rare", "quantity": 9_000}

    kept, _ = clean_events(log(*fuel, *milk, rare, {**milk[0], "quantity": 9_000}))

    assert kept["item_id"].value_counts().sort("item_id").rows() == [("fuel", 12), ("milk", 40)]
