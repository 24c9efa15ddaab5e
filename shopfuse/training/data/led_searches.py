"""Who searched for what and went on to an item of it: what completions are learned from.

A choice that names a request belongs to the search of that request, or to none. One that names no request belongs to
the last search of its user, if that was not long ago.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.ranking.text import normalise_query
from shopfuse.recall.completion.entries import Searched
from shopfuse.recall.completion.folding import folded_key

CHOSEN = ("select_item", "add_to_cart", "purchase")
STILL = "30m"  # after a search: the usual bound of a session


@dataclass(frozen=True, slots=True)
class LedSearches:
    """Each search, user and item once, [n] each; events of nobody known are left out."""

    query: list[str]  # normalised
    user: NDArray[np.int32]
    row: NDArray[np.int32]


NO_SEARCHES = LedSearches([], np.zeros(0, np.int32), np.zeros(0, np.int32))


def led_searches(events: pl.DataFrame) -> LedSearches:
    """Of cleaned events by time, with `user` (a code) and `row` (of the item), each -1 where there is none."""
    known = events.filter(pl.col("user") >= 0)
    searches = known.filter(pl.col("event_name") == "search", pl.col("query").is_not_null())
    chosen = known.filter(pl.col("event_name").is_in(CHOSEN), pl.col("row") >= 0)
    asked = known.filter(pl.col("query").is_not_null(), pl.col("request_id").is_not_null())
    of_request = asked.group_by("request_id", "user").agg(pl.col("query").first().alias("asked"))
    named = chosen.filter(pl.col("request_id").is_not_null()).join(of_request, on=("request_id", "user"))
    unnamed = chosen.filter(pl.col("request_id").is_null()).join_asof(
        searches.select("user", "timestamp", asked="query"),
        on="timestamp",
        by="user",
        strategy="backward",
        tolerance=STILL,
        check_sortedness=False,
    )
    pairs = pl.concat([part.select("asked", "user", "row") for part in (named, unnamed)]).drop_nulls().unique()
    texts = pairs.select(pl.col("asked").unique().sort()).to_series().to_list()
    plain = pl.DataFrame(
        {"asked": texts, "text": [normalise_query(text) for text in texts]}, {"asked": pl.String, "text": pl.String}
    )
    led = pairs.join(plain, on="asked").filter(pl.col("text") != "").select("text", "user", "row").unique()
    led = led.sort("text", "user", "row")
    return LedSearches(led["text"].to_list(), led["user"].to_numpy(), led["row"].to_numpy())


def shared_searches(led: LedSearches, min_users: int) -> Iterator[Searched]:
    """The searches that at least `min_users` different users went on from, those that fold to the same together."""
    keys = [folded_key(query) for query in led.query]
    order = sorted(range(len(keys)), key=lambda place: (keys[place], led.query[place]))
    for key, group in groupby(order, key=lambda place: keys[place]):
        places = list(group)
        users = {int(led.user[place]) for place in places}
        if key and len(users) >= min_users:
            spellings = [led.query[place] for place in places]
            yield Searched(max(spellings, key=spellings.count), len(users), led.row[places])
