"""All items that match a search's words and filter, beside the best of them: how many, and the first of them in another
order than relevance; and the tables of a release that know them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.contents import IndexContents
from shopfuse.recall.facts.identifiers import named_rows
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.item_table import ItemTable
from shopfuse.recall.lexical import LexicalIndex
from shopfuse.recall.matching.facet_values import FacetValues, build_facet_values
from shopfuse.recall.matching.word_rows import WordRows, build_word_rows
from shopfuse.recall.popular import POPULAR_INDEX
from shopfuse.recall.selection import Selection
from shopfuse.recall.words.query_reading import QueryWord
from shopfuse.release.layout import ReleaseLayout

Rows = NDArray[np.int32]
Keys = NDArray[np.float64]  # ascending is the order; inf is unknown, and last


@dataclass(frozen=True, slots=True)
class MatchTables:
    words: WordRows
    facets: FacetValues

    @classmethod
    def open(cls, layout: ReleaseLayout, items: int) -> MatchTables:
        """Raises ReleaseError naming the file that is missing or damaged."""
        return cls(WordRows.open(layout.matching, items), FacetValues.open(layout.matching))


@dataclass(frozen=True, slots=True)
class MatchSet:
    rows: Rows  # that hold the words or are named by a number, whatever the filter says, ascending
    total_size: int  # groups that pass the filter, too
    first: Rows | None  # in the order that is asked for; None by relevance
    relaxed: tuple[str, ...] = ()  # words that the rows do without


def match(
    tables: MatchTables,
    indexes: RecallIndexes,
    query: str,
    words: Sequence[QueryWord],
    selection: Selection | None,
    order: int,
    most: int,
) -> MatchSet:
    """Of a query and its words. Of those that no item of the selection holds together with the others it does without.
    Where a number names an item that lacks a word, that item is all that is meant. Of another order than by relevance
    the first `most`."""
    mask = None if selection is None else selection.mask
    matches, named = tables.words.matching(words, mask), named_rows(indexes, query)
    rows, relaxed = matches.rows, tuple(word.written for word in matches.relaxed)
    if len(_passing(named, mask)):
        rows, relaxed = (named, ()) if relaxed else (np.union1d(rows, named), ())
    passing = _passing(rows, mask)
    first = None if order == RELEVANCE else first_in_order(indexes, order, passing, most)
    return MatchSet(rows, indexes.items.groups.count(passing), first, relaxed)


def _passing(rows: Rows, mask: NDArray[np.bool_] | None) -> Rows:
    return rows if mask is None else rows[mask[rows]]


def build_match_tables(layout: ReleaseLayout, contents: IndexContents) -> None:
    """Writes them; the item table and the lexical index must be there."""
    build_word_rows(layout.matching, LexicalIndex.open(layout.lexical))
    build_facet_values(layout.matching, contents.items(), ItemTable.open(layout.items).groups)


def _price(indexes: RecallIndexes, rows: Rows) -> Keys:
    return indexes.items.price[rows].astype(np.float64)


RELEVANCE = 0  # of the API's SortOrder; the others are
SORT_KEYS: dict[int, Callable[[RecallIndexes, Rows], Keys]] = {
    1: _price,
    2: lambda indexes, rows: -_price(indexes, rows),
    3: lambda indexes, rows: -indexes.items.published_at[rows],
    4: lambda indexes, rows: -indexes[POPULAR_INDEX].score(rows).astype(np.float64),
}


def sort_keys(indexes: RecallIndexes, order: int, rows: Rows) -> Keys:
    """What sorts known rows, [n]. Raises KeyError for an order that is none of SORT_KEYS."""
    keys = SORT_KEYS[order](indexes, rows)
    return np.where(np.isnan(keys), np.inf, keys)


def first_in_order(indexes: RecallIndexes, order: int, rows: Rows, most: int) -> Rows:
    """Of distinct rows the first `most`, each of another group: by key, then by row."""
    keys, groups = sort_keys(indexes, order, rows), indexes.items.groups
    if not groups.present and len(rows) > most:
        last = np.partition(keys, most - 1)[most - 1]
        rows, keys = rows[keys <= last], keys[keys <= last]
    ordered = rows[np.lexsort((rows, keys))]
    first: Rows = ordered[groups.once(ordered)[:most]]
    return first
