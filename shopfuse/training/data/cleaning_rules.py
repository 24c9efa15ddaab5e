"""The rules of cleaning: which events came twice, which no ordinary trade makes, and who is a machine.

A rule only marks events; whether it is believed is decided in cleaning. Bounds of what is ordinary are the
median and its median deviation on a log scale: neither moves when a few values are absurd, which is what mean and
standard deviation do, and counts and prices are long-tailed. A sign of a machine needs many actions before it counts,
so that nobody is judged by little; a machine that behaves like a person, slowly and at day, is not found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import numpy as np
import polars as pl

ACTOR = "actor"  # the column that says who: the user, or the session of an unknown one
SESSIONS_AT_ONCE = 20  # in an hour; an id with more is not one shopper but what the shop calls all its guests

DEVIATIONS = 8.0
_NORMAL = 1.4826  # the standard deviation of a normal distribution over its median deviation

WITHIN_S = 1.0
_SAME = (ACTOR, "event_name", "item_id", "request_id", "query")

MARGIN_DAYS = 30
_TAIL = 0.001  # share of events at either end of the log that may lie further out
LEAST_PRICE_RATIO = 10.0  # a price may always be so many times the item's usual one, or so small a part of it
LEAST_QUANTITY = 100.0  # a line of an order may always hold so many times the item's usual quantity
LINES_OF_AN_ITEM = 10  # of fewer the shop's usual quantity stands for the item's

LEAST_RATE = 200.0  # actions in an hour: one in 18 s, for a whole hour
FAST_S, FAST_ACTIONS, FAST_SHARE = 0.5, 50, 0.5
HOURS = 22  # of one day, each with an action
UNSEEN_CLICKS, UNSEEN_SHARE, USUAL_UNSEEN = 30, 0.9, 0.1
MISSED_CLICKS = 20.0  # that a shopper with as many lists would have made: chance gives none with probability exp(-20)


@dataclass(frozen=True, slots=True)
class Finding:
    removed: pl.Series  # for each event
    share: float  # of the events, or of the actors where whole actors are judged
    bound: str  # what was allowed, in words


def with_actors(events: pl.DataFrame) -> pl.DataFrame:
    """The events with ACTOR: the user id, the session where there is none or where many guests share it, else null."""
    hour = pl.col("timestamp").dt.truncate("1h")
    at_once = events.group_by("user_id", hour).agg(pl.col("session_id").n_unique())
    shared = at_once.filter(pl.col("session_id") > SESSIONS_AT_ONCE)["user_id"].unique()
    session = pl.format("session {}", "session_id")
    guest = pl.col("user_id").is_null() | pl.col("user_id").is_in(shared.implode())
    return events.with_columns(pl.when(guest).then(session).otherwise("user_id").alias(ACTOR))


def these_events(events: pl.DataFrame, removed: pl.Series, bound: str) -> Finding:
    """The events that are marked."""
    marked = removed.fill_null(False)
    return Finding(marked, int(marked.sum()) / max(len(events), 1), bound)


def by_actors(events: pl.DataFrame, actors: pl.Series, bound: str) -> Finding:
    """All events of these actors."""
    marked = events[ACTOR].is_in(actors.drop_nulls().implode()).fill_null(False)
    return Finding(marked, actors.drop_nulls().n_unique() / max(events[ACTOR].n_unique(), 1), bound)


def nothing(events: pl.DataFrame) -> Finding:
    return Finding(pl.repeat(False, len(events), eager=True), 0.0, "")


def largest_ordinary(values: pl.Series, least: float, deviations: float = DEVIATIONS) -> float:
    """The bound for non-negative `values`: so many deviations above the median, never below `least`."""
    if values.is_empty():
        return least
    logs = np.log1p(values.to_numpy().astype(np.float64))
    middle = float(np.median(logs))
    spread = _NORMAL * float(np.median(np.abs(logs - middle)))
    return max(least, float(np.expm1(middle + deviations * spread)))


def repeated(events: pl.DataFrame) -> Finding:
    """All but the first of events that agree in who, what, item, request and words within a second of one another."""
    since = pl.col("timestamp").diff().over(_SAME).dt.total_microseconds() / 1e6
    someone = pl.col(ACTOR).is_not_null() | pl.col("request_id").is_not_null()
    removed = events.select(((since < WITHIN_S) & someone).alias("removed"))["removed"]
    return these_events(events, removed, f"the same event once within {WITHIN_S:g} s")


def stray_moments(events: pl.DataFrame) -> Finding:
    """Events long before or after nearly all others: they would shift every split by time."""
    if events.is_empty():
        return nothing(events)
    moments = events["timestamp"]
    low, high = usual_period(moments)
    return these_events(events, (moments < low) | (moments > high), f"from {low:%Y-%m-%d} to {high:%Y-%m-%d}")


def usual_period(moments: pl.Series) -> tuple[datetime, datetime]:
    """The time in which nearly all of these moments lie, with a margin on both sides."""
    first, last = moments.quantile(_TAIL, "higher"), moments.quantile(1 - _TAIL, "lower")
    margin = timedelta(days=MARGIN_DAYS)
    return cast(datetime, first) - margin, cast(datetime, last) + margin


def odd_prices(events: pl.DataFrame) -> Finding:
    """Carts and purchases at a price that is nothing like the item's usual one."""
    usual = pl.col("price").filter(pl.col("price") > 0).median().over("item_id")
    ratios = events.select(
        pl.when(pl.col("price") > 0).then((pl.col("price") / usual).log().abs()).otherwise(float("inf")).alias("ratio"),
        pl.col("price").is_not_null().alias("priced"),
    )
    known = ratios.filter(pl.col("priced") & pl.col("ratio").is_finite())["ratio"]
    bound = largest_ordinary(known.exp() - 1.0, LEAST_PRICE_RATIO - 1.0) + 1.0
    odd = ratios.select((pl.col("priced") & (pl.col("ratio").exp() > bound)).alias("odd"))["odd"]
    return these_events(events, odd, f"a price above 0 and within {bound:.3g} times the item's usual one")


def odd_quantities(events: pl.DataFrame) -> Finding:
    """Carts and purchases of many times more pieces than shoppers take of the item: fuel comes in thousands."""
    taken = pl.col("quantity").filter(pl.col("quantity") > 0)
    often = taken.count().over("item_id") >= LINES_OF_AN_ITEM
    usual = pl.when(often).then(taken.median().over("item_id")).otherwise(taken.median())
    times = events.select((pl.col("quantity") / usual).alias("times"))["times"]
    bound = largest_ordinary(times.filter(times > 0), LEAST_QUANTITY)
    odd = (times > bound) | (events["quantity"] <= 0)
    return these_events(events, odd, f"1 piece or more, and up to {bound:.4g} times as many as usual of the item")


def actions(events: pl.DataFrame) -> pl.DataFrame:
    """What somebody did, one row for a click, which some logs write as a click and a view: searches, clicks, carts."""
    clicks = "select_item" if (events["event_name"] == "select_item").any() else "view_item"
    named = pl.col("event_name").is_in(["search", clicks, "add_to_cart"])
    return events.filter(named & pl.col(ACTOR).is_not_null())


def too_many(events: pl.DataFrame) -> Finding:
    """More actions in an hour than anyone else by far."""
    hour = pl.col("timestamp").dt.truncate("1h")
    busiest = actions(events).group_by(ACTOR, hour).len().group_by(ACTOR).agg(pl.col("len").max())
    bound = largest_ordinary(busiest["len"], LEAST_RATE)
    return by_actors(events, busiest.filter(pl.col("len") > bound)[ACTOR], f"{bound:.4g} actions in an hour")


def too_fast(events: pl.DataFrame) -> Finding:
    """Most actions within half a second of the one before."""
    since = pl.col("timestamp").diff().over(ACTOR).dt.total_microseconds() / 1e6
    paces = actions(events).with_columns(fast=since < FAST_S).group_by(ACTOR).agg(pl.col("fast").mean(), pl.len())
    fast = paces.filter((pl.col("len") > FAST_ACTIONS) & (pl.col("fast") > FAST_SHARE))
    return by_actors(events, fast[ACTOR], f"half of {FAST_ACTIONS} or more actions at least {FAST_S:g} s apart")


def around_the_clock(events: pl.DataFrame) -> Finding:
    """No sleep: actions in nearly every hour of some day."""
    day, hour = pl.col("timestamp").dt.date(), pl.col("timestamp").dt.hour()
    days = actions(events).group_by(ACTOR, day).agg(hour.n_unique().alias("hours"))
    sleepless = days.filter(pl.col("hours") >= HOURS)[ACTOR].unique()
    return by_actors(events, sleepless, f"actions in fewer than {HOURS} hours of a day")


def clicks_of_unseen(events: pl.DataFrame) -> Finding:
    """Clicks that name a list without that item, in a log where that is rare."""
    lists = events.filter(pl.col("event_name") == "view_item_list")
    impressions = lists.select("request_id", "item_id", seen=True).unique()
    clicks = events.filter((pl.col("event_name") == "select_item") & pl.col("request_id").is_not_null())
    clicks = clicks.join(impressions, on=["request_id", "item_id"], how="left")
    unseen = clicks.group_by(ACTOR).agg(pl.col("seen").is_null().mean().alias("share"), pl.len())
    if impressions.is_empty() or unseen.is_empty() or unseen["share"].median() > USUAL_UNSEEN:  # type: ignore[operator]
        return nothing(events)
    forged = unseen.filter((pl.col("len") >= UNSEEN_CLICKS) & (pl.col("share") > UNSEEN_SHARE))
    return by_actors(events, forged[ACTOR], f"{1 - UNSEEN_SHARE:.0%} of {UNSEEN_CLICKS} or more clicks on items shown")


def never_clicking(events: pl.DataFrame) -> Finding:
    """Many lists and no click, where others with as many lists would have made some."""
    known = events.filter(pl.col(ACTOR).is_not_null() & pl.col("request_id").is_not_null())
    lists = known.filter(pl.col("event_name") == "view_item_list").group_by(ACTOR).agg(pl.col("request_id").n_unique())
    clicks = known.filter(pl.col("event_name") == "select_item").group_by(ACTOR).len()
    both = lists.join(clicks, on=ACTOR, how="left").with_columns(pl.col("len").fill_null(0))
    usual = both["len"].sum() / max(int(both["request_id"].sum()), 1)
    silent = both.filter((pl.col("len") == 0) & (pl.col("request_id") * usual > MISSED_CLICKS))
    return by_actors(events, silent[ACTOR], f"a click where {MISSED_CLICKS:g} were to be expected")
