"""What belongs together in a shop's own texts: what a shopper might type, and the item that it is about.

Queries are drawn from what an item says of itself: some words of its title, its category, its brand, its attributes'
values, its description. Searches that led to an item are pairs as they are. Nothing is downloaded and nobody labels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.text import DESCRIPTION_WORDS, item_text
from shopfuse.recall.words.analysis import Analyser
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.led_searches import LedSearches

MOST_ITEMS = 100_000  # drawn from a larger catalogue
LONGEST_VALUE = 40  # characters of an attribute's value that somebody might type
WORDS_AT_ONCE = 3
# How often a query is drawn from where, if the item has it; the rest from the title.
FROM_SEARCHES, FROM_CATEGORY, FROM_DESCRIPTION, FROM_VALUES = 0.5, 0.15, 0.15, 0.1
WHOLE_PATH = 0.7  # how often a category is called by its last level, not by one above it
WITH_MORE = 0.3  # how often words of a title come with the brand, the category or a value
SLIPS, SHORTEST_SLIPPED = 0.1, 5  # how often a word is typed with a slip, and letters that such a word has


@dataclass(frozen=True, slots=True)
class ItemTexts:
    """What there is to say of one item."""

    title: tuple[str, ...]  # its words
    description: tuple[str, ...]  # its first words
    category: tuple[str, ...]  # the names of its levels
    values: tuple[str, ...]  # of its brand and attributes
    searches: tuple[str, ...] = ()  # that led to it


@dataclass(frozen=True, slots=True)
class TextPairs:
    """Row-aligned: what is said of items, and what the text encoder reads of them."""

    items: list[ItemTexts]
    texts: list[str]
    category: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.items)


def text_pairs(
    catalogue: Catalogue, led: LedSearches, held_out: Collection[int], unknown: Collection[str], seed: int
) -> TextPairs:
    """Of at most MOST_ITEMS items, without the rows `held_out` and the searches `unknown`."""
    rows = np.setdiff1d(np.arange(len(catalogue)), np.array(sorted(held_out), np.int64))
    if len(rows) > MOST_ITEMS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ITEMS, replace=False))
    searches: dict[int, list[str]] = defaultdict(list)
    for query, row in zip(led.query, led.row.tolist(), strict=True):
        if query not in unknown:
            searches[row].append(query)
    items = item_texts(catalogue, rows.tolist(), searches)
    read = catalogue.frame.select("title", "brand", "category", "description")[rows]
    texts = [item_text(title or "", brand, path or (), about or "") for title, brand, path, about in read.rows()]
    return TextPairs(items, texts, catalogue.category[rows])


def item_texts(
    catalogue: Catalogue, rows: Sequence[int], searches: dict[int, list[str]] | None = None
) -> list[ItemTexts]:
    """Of the rows, by the words of the catalogue's language."""
    words = Analyser(catalogue.language, catalogue.languages[1:]).surface
    columns = ("title", "description", "category", "brand", "attributes")
    frame = catalogue.frame.select(columns)[list(rows)]
    return [
        ItemTexts(
            tuple(words(title or "")),
            tuple(words(" ".join((about or "").split()[:DESCRIPTION_WORDS]))),
            tuple(path or ()),
            tuple(value for value in (brand, *(pair["value"] for pair in pairs or ())) if value and _is_typed(value)),
            tuple((searches or {}).get(row, ())),
        )
        for row, (title, about, path, brand, pairs) in zip(rows, frame.iter_rows(), strict=True)
    ]


def _is_typed(value: str) -> bool:
    return len(value) <= LONGEST_VALUE and any(map(str.isalpha, value))


def drawn_query(item: ItemTexts, draw: np.random.Generator) -> str:
    """One of the queries that the item is, or might be, sought by; "" for an item that says nothing."""
    searched, kind, more, place = draw.random(4)
    if item.searches and searched < FROM_SEARCHES:
        return item.searches[int(place * len(item.searches))]
    if item.category and kind < FROM_CATEGORY:
        return item.category[-1 if more < WHOLE_PATH else int(place * len(item.category))]
    if item.description and FROM_CATEGORY <= kind < FROM_CATEGORY + FROM_DESCRIPTION:
        return " ".join(run_of(item.description, draw))
    if item.values and kind > 1.0 - FROM_VALUES:
        return " ".join([item.values[int(place * len(item.values))], *item.category[-1:]])
    words = [_slipped(word, draw) for word in run_of(item.title, draw)]
    others = (*item.category[-1:], *item.values)
    if others and more < WITH_MORE:
        words.insert(0, others[int(place * len(others))])
    return " ".join(words)


def run_of(words: Sequence[str], draw: np.random.Generator, fewest: int = 1) -> list[str]:
    """Some words that stand together, `fewest` of them or more where there are so many."""
    if not words:
        return []
    most = min(WORDS_AT_ONCE, len(words))
    count = int(draw.integers(min(fewest, most), most + 1))
    start = int(draw.integers(0, len(words) - count + 1))
    return list(words[start : start + count])


def _slipped(word: str, draw: np.random.Generator) -> str:
    """The word, now and then without one of its letters, or with two of them the wrong way round."""
    if len(word) < SHORTEST_SLIPPED or draw.random() >= SLIPS:
        return word
    at = int(draw.integers(1, len(word) - 1))
    return word[:at] + word[at + 1 :] if draw.random() < 0.5 else word[:at] + word[at + 1] + word[at] + word[at + 2 :]
