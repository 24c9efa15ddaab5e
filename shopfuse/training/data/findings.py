"""What a rule of cleaning says of an event log, and who is who in it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

ACTOR = "actor"  # the column that says who: the user, or the session of an unknown one
SESSIONS_AT_ONCE = 20  # in an hour; an id with more is not one shopper but what the shop calls all its guests


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
