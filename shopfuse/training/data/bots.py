"""Machines among the shoppers: signs that no person shows, however keen.

A sign needs many actions before it counts, so that nobody is judged by little. A machine that behaves like a person,
slowly and at day, is not found; nor does it distort much.
"""

from __future__ import annotations

import polars as pl

from shopfuse.training.data.findings import ACTOR, Finding, by_actors, nothing
from shopfuse.training.data.robust_bounds import largest_ordinary

LEAST_RATE = 200.0  # actions in an hour: one in 18 s, for a whole hour
FAST_S, FAST_ACTIONS, FAST_SHARE = 0.5, 50, 0.5
HOURS = 22  # of one day, each with an action
UNSEEN_CLICKS, UNSEEN_SHARE, USUAL_UNSEEN = 30, 0.9, 0.1
MISSED_CLICKS = 20.0  # that a shopper with as many lists would have made: chance gives none with probability exp(-20)


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
    shown = events.filter(pl.col("event_name") == "view_item_list").select("request_id", "item_id", seen=True).unique()
    clicks = events.filter((pl.col("event_name") == "select_item") & pl.col("request_id").is_not_null())
    clicks = clicks.join(shown, on=["request_id", "item_id"], how="left")
    unseen = clicks.group_by(ACTOR).agg(pl.col("seen").is_null().mean().alias("share"), pl.len())
    if shown.is_empty() or unseen.is_empty() or unseen["share"].median() > USUAL_UNSEEN:  # type: ignore[operator]
        return nothing(events)
    found = unseen.filter((pl.col("len") >= UNSEEN_CLICKS) & (pl.col("share") > UNSEEN_SHARE))
    return by_actors(events, found[ACTOR], f"{1 - UNSEEN_SHARE:.0%} of {UNSEEN_CLICKS} or more clicks on items shown")


def never_clicking(events: pl.DataFrame) -> Finding:
    """Many lists and no click, where others with as many lists would have made some."""
    known = events.filter(pl.col(ACTOR).is_not_null() & pl.col("request_id").is_not_null())
    lists = known.filter(pl.col("event_name") == "view_item_list").group_by(ACTOR).agg(pl.col("request_id").n_unique())
    clicks = known.filter(pl.col("event_name") == "select_item").group_by(ACTOR).len()
    both = lists.join(clicks, on=ACTOR, how="left").with_columns(pl.col("len").fill_null(0))
    usual = both["len"].sum() / max(int(both["request_id"].sum()), 1)
    silent = both.filter((pl.col("len") == 0) & (pl.col("request_id") * usual > MISSED_CLICKS))
    return by_actors(events, silent[ACTOR], f"a click where {MISSED_CLICKS:g} were to be expected")
