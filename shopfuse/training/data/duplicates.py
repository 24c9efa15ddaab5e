"""Events that came twice: a client that sent again, a double tap, a tracker on the page two times."""

from __future__ import annotations

import polars as pl

from shopfuse.training.data.findings import ACTOR, Finding, these_events

WITHIN_S = 1.0
_SAME = (ACTOR, "event_name", "item_id", "request_id", "query")


def repeated(events: pl.DataFrame) -> Finding:
    """All but the first of events that agree in who, what, item, request and words within a second of one another."""
    since = pl.col("timestamp").diff().over(_SAME).dt.total_microseconds() / 1e6
    someone = pl.col(ACTOR).is_not_null() | pl.col("request_id").is_not_null()
    removed = events.select(((since < WITHIN_S) & someone).alias("removed"))["removed"]
    return these_events(events, removed, f"the same event once within {WITHIN_S:g} s")
