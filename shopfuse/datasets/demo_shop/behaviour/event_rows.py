"""One simulated day as the rows of its events file."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.behaviour.queries import query_texts
from shopfuse.datasets.demo_shop.behaviour.reactions import DayLog, Flags
from shopfuse.datasets.demo_shop.world.period import SCENES
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.world import DemoShop
from shopfuse.datasets.schema import EVENT_SCHEMA
from shopfuse.ranking.features import DEVICES

LOCALES = ("en-GB", "en-US", "en-IE")

_LOOK_S, _STAY_S, _CART_S, _BUY_S = 3.0, 1.0, 20.0, 45.0  # seconds a shopper takes for each step


def user_ids(rows: NDArray[np.intp], count: int) -> pl.Series:
    """Ids of fixed width for these rows of a shop with `count` shoppers."""
    width = max(6, len(str(count)))
    return pl.Series("user_id", [f"user-{row:0{width}d}" for row in rows.tolist()], dtype=pl.String)


def event_rows(shop: DemoShop, log: DayLog, item_ids: pl.Series) -> pl.DataFrame:
    """The day's events in EVENT_SCHEMA, sorted by (timestamp, event_id)."""
    day = shop.period.date_of(log.requests.day)
    slots = np.arange(log.slates.shape[1])
    spent = _LOOK_S * (slots + 1.0)
    parts = [
        _searches(log),
        _slot_events(log, "view_item_list", 1, log.filled, log.slates, 0.0 * spent),
        _slot_events(log, "select_item", 2, log.clicked, log.slates, spent),
        _slot_events(log, "view_item", 3, log.viewed, log.slates, spent + _STAY_S),
        _slot_events(log, "add_to_cart", 4, log.carted, log.taken, spent + _CART_S),
        _slot_events(log, "purchase", 5, log.bought, log.taken, spent + _BUY_S),
    ]
    events = pl.concat(parts).sort("second", "request", "step", "position", maintain_order=True)
    requests = _request_columns(shop, log)
    stamp = f"{day:%Y%m%d}"
    facts = pl.DataFrame({"item": np.arange(len(item_ids)), "item_id": item_ids, "item_price": shop.items.price})
    sold = pl.col("event_name").is_in(["add_to_cart", "purchase"])
    number = pl.int_range(pl.len()).cast(pl.String).str.zfill(8)
    return (
        events.join(requests, on="request", how="left", maintain_order="left")
        .join(facts, on="item", how="left", maintain_order="left")
        .with_columns(
            event_id=pl.format("e{}-{}", pl.lit(stamp), number),
            timestamp=pl.lit(shop.period.start_of(log.requests.day))
            + pl.duration(microseconds=(pl.col("second") * 1e6).cast(pl.Int64)),
            price=pl.when(sold).then("item_price"),
            quantity=pl.when(sold).then(1),
            query=pl.when(pl.col("event_name").is_in(["search", "view_item_list"])).then("query"),
            list_name=pl.when(pl.col("event_name") != "search").then("list_name"),
        )
        .select(pl.col(name).cast(kind) for name, kind in EVENT_SCHEMA.items())
    )


def _searches(log: DayLog) -> pl.DataFrame:
    rows = np.flatnonzero(log.requests.is_search)
    return _frame("search", 0, rows, log.requests.second[rows], None, None)


def _slot_events(
    log: DayLog, name: str, step: int, happened: Flags, items: NDArray[np.intp], delay: NDArray[np.float64]
) -> pl.DataFrame:
    """One row for each slot where it happened, with its item, `delay` seconds after the request."""
    row, slot = np.nonzero(happened)
    return _frame(name, step, row, log.requests.second[row] + delay[slot], items[row, slot], slot)


def _frame(
    name: str,
    step: int,
    request: NDArray[np.intp],
    second: NDArray[np.float64],
    item: NDArray[np.intp] | None,
    slot: NDArray[np.intp] | None,
) -> pl.DataFrame:
    nothing = pl.repeat(None, len(request), dtype=pl.Int64, eager=True)
    return pl.DataFrame(
        {
            "event_name": pl.repeat(name, len(request), eager=True),
            "step": pl.repeat(step, len(request), dtype=pl.Int64, eager=True),
            "request": request,
            "second": second,
            "item": nothing if item is None else item,
            "position": nothing if slot is None else slot,
        }
    )


def _request_columns(shop: DemoShop, log: DayLog) -> pl.DataFrame:
    """What all events of a request share."""
    requests = log.requests
    user = requests.people[requests.person]
    stamp = f"{shop.period.date_of(requests.day):%Y%m%d}"
    count = len(requests)
    searches = np.flatnonzero(requests.is_search)
    rng = stream(shop.seed, "wording", 2**30 + requests.day)
    queries: list[str | None] = [None] * count
    for row, text in zip(searches.tolist(), query_texts(rng, shop, requests.intents.take(searches)), strict=True):
        queries[row] = text
    return pl.DataFrame(
        {
            "request": np.arange(count),
            "user_id": user_ids(user, len(shop.users)),
            "session_id": [f"s{stamp}-{session:06d}" for session in requests.session.tolist()],
            "request_id": [f"r{stamp}-{row:06d}" for row in range(count)],
            "query": pl.Series(queries, dtype=pl.String),
            "list_name": np.where(requests.is_search, "search", "recommend"),
            "scene": pl.repeat(SCENES[requests.scene] or None, count, dtype=pl.String, eager=True),
            "device": pl.Series(DEVICES).gather(shop.users.device[user]),
            "locale": pl.Series(LOCALES).gather(shop.users.locale[user]),
        }
    )
