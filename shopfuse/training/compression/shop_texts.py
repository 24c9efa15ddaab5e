"""The texts an encoder is compressed on: what it will read of the shop's items, and texts like the shop's queries.

Queries are made from the items (pieces of titles, brand with category) and, where shoppers searched, taken from the
log. Judgments are never read. Held-out texts belong to items that are not trained on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import polars as pl

from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.text import item_text, normalise_query
from shopfuse.training.compression.errors import CompressionError

QUERIES = 2  # for each item
MIN_ITEMS = 200  # distinct texts: fewer say too little about which neurons and layers matter
_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.1, 1000
_LONGEST_PIECE = 4  # words
_LOGGED_SHARE = 0.5  # of the second queries, where there is a log


@dataclass(frozen=True, slots=True)
class TextRows:
    """Item texts [n], and QUERIES texts for each of them, one item's beside each other [QUERIES * n]."""

    items: list[str]
    queries: list[str]

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: list[int]) -> TextRows:
        queries = [query for row in rows for query in self.queries[QUERIES * row : QUERIES * (row + 1)]]
        return TextRows([self.items[row] for row in rows], queries)


@dataclass(frozen=True, slots=True)
class ShopTexts:
    training: TextRows
    held_out: TextRows
    unseen_queries: frozenset[str]  # the held-out queries that training has not met


def shop_texts(workspace: Workspace, most_items: int, seed: int) -> ShopTexts:
    """At most `most_items` items to train on, and others held out. CompressionError where there are too few."""
    rng = random.Random(seed)
    items = _distinct_items(workspace.items().collect())
    if len(items) < MIN_ITEMS:
        raise CompressionError(
            f"{workspace.paths.items}: expected at least {MIN_ITEMS} items with different texts, found {len(items)}"
        )
    rng.shuffle(items)
    count = min(_MOST_HELD_OUT, round(_HELD_OUT_SHARE * len(items)))
    logged = _logged_queries(workspace)
    rng.shuffle(logged)
    border = round(_HELD_OUT_SHARE * len(logged))
    held_out = _rows(items[:count], logged[:border], rng)
    training = _rows(items[count : count + most_items], logged[border:], rng)
    return ShopTexts(training, held_out, frozenset(held_out.queries) - set(training.queries))


@dataclass(frozen=True, slots=True)
class _Item:
    text: str
    title: str
    brand: str
    category: str


def _distinct_items(frame: pl.DataFrame) -> list[_Item]:
    """One item for each text, in the catalogue's order."""
    items: dict[str, _Item] = {}
    for row in frame.select("title", "brand", "category", "description").iter_rows():
        title, brand, category, description = row[0], row[1] or "", row[2] or [], row[3] or ""
        text = item_text(title, brand, category, description)
        items.setdefault(text, _Item(text, title, brand, category[-1] if category else ""))
    return list(items.values())


def _logged_queries(workspace: Workspace) -> list[str]:
    """What shoppers searched for, each once, sorted so that a seed means the same on every run."""
    queries = workspace.events().select("query").drop_nulls().unique().collect()["query"].to_list()
    return sorted({clean for query in queries if (clean := normalise_query(query))})


def _rows(items: list[_Item], logged: list[str], rng: random.Random) -> TextRows:
    queries = [query for item in items for query in (_piece(item, rng), _second_query(item, logged, rng))]
    return TextRows([item.text for item in items], queries)


def _piece(item: _Item, rng: random.Random) -> str:
    """A few words in a row of the title."""
    words = item.title.split()
    length = min(len(words), rng.randint(1, _LONGEST_PIECE))
    start = rng.randint(0, len(words) - length)
    return normalise_query(" ".join(words[start : start + length]))


def _second_query(item: _Item, logged: list[str], rng: random.Random) -> str:
    if logged and rng.random() < _LOGGED_SHARE:
        return rng.choice(logged)
    return normalise_query(f"{item.brand} {item.category}") or _piece(item, rng)
