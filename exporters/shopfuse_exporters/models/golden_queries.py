"""The queries that a release is tried with before it is served: what the shop's users ask, often and rarely.

A shop without logged searches is asked for what its catalogue holds. The same workspace gives the same queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import polars as pl

from shopfuse.ranking.text import normalise_query, searchable
from shopfuse.training.data.catalogue import Catalogue
from shopfuse_exporters.errors import BuildError

QUERIES = 100
FREQUENT = 60  # of them; the rest is spread over the rare ones
TITLE_WORDS = 3

Value = TypeVar("Value")


def golden_queries(events: pl.LazyFrame, catalogue: Catalogue) -> list[str]:
    """At most QUERIES normalised queries, the most frequent first; raises BuildError where there is not one."""
    logged = _logged(events)
    rest = logged[FREQUENT:]
    chosen = dict.fromkeys(logged[:FREQUENT] + spread(rest, QUERIES - FREQUENT))
    for query in _from_catalogue(catalogue) if len(chosen) < QUERIES else ():
        chosen.setdefault(query)
        if len(chosen) == QUERIES:
            break
    if not chosen:
        raise BuildError("no golden query can be drawn: no search is logged and no item has a title")
    return list(chosen)


def _logged(events: pl.LazyFrame) -> list[str]:
    """Distinct searches by falling frequency, ties by name."""
    counts = (
        events.filter((pl.col("event_name") == "search") & pl.col("query").is_not_null())
        .group_by("query")
        .len()
        .sort("len", "query", descending=[True, False])
        .collect()
    )
    queries = (normalise_query(text) for text in counts["query"].to_list())
    return list(dict.fromkeys(query for query in queries if searchable(query)))


def _from_catalogue(catalogue: Catalogue) -> Iterator[str]:
    """Of items spread over the catalogue: the start of a title, and brand and category of the next."""
    rows = catalogue.frame.select("title", "brand", "category").rows()
    for place, (title, brand, path) in enumerate(spread(rows, QUERIES * 2)):
        words = [brand or "", path[-1]] if path and place % 2 else (title or "").split()[:TITLE_WORDS]
        if searchable(query := normalise_query(" ".join(words))):
            yield query


def spread(values: Sequence[Value], count: int) -> list[Value]:
    """At most `count` of the values, evenly spaced, in their order."""
    places = np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)
    return [values[place] for place in places]
