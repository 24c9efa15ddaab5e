"""How exactly a query names an item: "iphone 13" the iPhone 13, then its Pro and mini, and its cases at last.

What an item is called is its title up to the first comma, bracket, measure or preposition, less its brand and the
values of its attributes: "Apple iPhone 13 Pro 128 GB Blue" is called iphone 13 pro, "Leather case for iPhone 13" is
called leather case, and for iphone 13. Of an item that has all of the query's words, each word of that name which the
query lacks counts against it; one that has them elsewhere only is not called so. Only queries with a number name a
model: where "batteries" is asked, what is called nothing else is no better an answer than a battery of some name. Which
category is meant says another channel.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, Scored
from shopfuse.recall.query import WORDS
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.recall.words.analysis import Analyser, CatalogueAnalyser
from shopfuse.recall.words.negations import ENDING, EVERYWHERE
from shopfuse.recall.words.query_reading import QueryWord, ReadQuery
from shopfuse.recall.words.units import measures
from shopfuse.release.manifest import ReleaseError

NAME_ENDS = re.compile(r"[,;:|(\[]|\s[-–—/]\s")  # noqa: RUF001
RELATING = ENDING | frozenset(
    (*EVERYWHERE, "from", "to", "compatible", "kompatibel", "von", "zu", "voor", "per", "sans")
)
VALUE_WORDS = 2  # of an attribute whose value is no part of a name: colours and sizes, not descriptions
MODELS_ONLY = True  # only queries with a number name a model

LISTS = ("words", "names", "purposes")
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WordLists:
    """The hashes of each item's words, each once."""

    indptr: NDArray[np.int64]  # [items + 1]
    hashes: NDArray[np.uint32]

    @classmethod
    def open(cls, folder: Path, name: str) -> WordLists:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        lists = cls(
            open_array(folder / f"{name}_indptr.npy", np.int64), open_array(folder / f"{name}_hashes.npy", np.uint32)
        )
        if len(lists.indptr) == 0 or lists.indptr[-1] != len(lists.hashes):
            raise ReleaseError(f"{folder}/{name}_indptr.npy: does not fit {name}_hashes.npy")
        return lists

    def of(self, rows: NDArray[np.int32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The words of rows one after the other [n], and whose each is, as a place in `rows` [n]."""
        starts, lengths = self.indptr[rows], self.indptr[rows + 1] - self.indptr[rows]
        owners = np.repeat(np.arange(len(rows)), lengths)
        places = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + starts[owners]
        return self.hashes[places], owners


@dataclass(frozen=True, slots=True)
class TitleIndex:
    words: WordLists  # of title, brand and category
    names: WordLists  # what the items are called
    purposes: WordLists  # what they are for

    @classmethod
    def open(cls, folder: Path) -> TitleIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        index = cls(*(WordLists.open(folder, name) for name in LISTS))
        for name, lists in zip(LISTS, (index.words, index.names, index.purposes), strict=True):
            if len(lists.indptr) != len(index.words.indptr):
                raise ReleaseError(f"{folder}/{name}_indptr.npy: does not fit words_indptr.npy")
        return index

    def __len__(self) -> int:
        return len(self.words.indptr) - 1

    def score(self, query: Sequence[QueryWord], rows: NDArray[np.int32]) -> NDArray[np.float32] | None:
        """The share of the rows' names that the query says, [n], and of what they are for, where it says something of
        the name; 0 for a row that lacks a word of the query. None where that tells none of the rows from the others."""
        words, owners = self.words.of(rows)
        all_held = np.ones(len(rows), np.bool_)
        for word in query:
            all_held &= _has_any(word, words, owners, len(rows))
        if not query or not all_held.any():
            return None
        asked = np.array([_hash(term) for word in query for form in word.forms for term in form], np.uint32)
        said, named = _said(self.names, rows, asked)
        also_said, meant_for = _said(self.purposes, rows, asked)
        shares = (said + also_said) / np.maximum(named + (also_said > 0) * meant_for, 1) * (all_held & (said > 0))
        return shares.astype(np.float32) if shares.any() else None


def _said(lists: WordLists, rows: NDArray[np.int32], asked: NDArray[np.uint32]) -> tuple[Counts, Counts]:
    """How many of each row's words are asked for, and how many it has: ([n], [n])."""
    words, owners = lists.of(rows)
    found = owners[(words[:, None] == asked).any(1)]
    return np.bincount(found, minlength=len(rows)), np.bincount(owners, minlength=len(rows))


def _has_any(word: QueryWord, words: NDArray[np.uint32], owners: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which of `count` rows have one of the word's forms, given the rows' words."""
    held = np.zeros(count, np.bool_)
    for form in word.forms:
        whole = np.ones(count, np.bool_)
        for term in form:
            has = np.zeros(count, np.bool_)
            has[owners[words == np.uint32(_hash(term))]] = True
            whole &= has
        held |= whole
    return held


def build_titles(folder: Path, items: Iterable[CatalogueItem], *languages: str) -> None:
    """Writes the index of items in row order."""
    analysers = CatalogueAnalyser(*languages)
    columns: dict[str, tuple[array[int], array[int]]] = {name: (array("q", [0]), array("I")) for name in LISTS}
    for item in items:
        analyser = analysers.of(item.language)
        words = _stems(analyser, " ".join((item.title, item.brand or "", *item.category)))
        for name, listed in zip(LISTS, (words, *called(analyser, item)), strict=True):
            indptr, hashes = columns[name]
            hashes.extend(_hash(word) for word in dict.fromkeys(listed))
            indptr.append(len(hashes))
    for name, (indptr, hashes) in columns.items():
        write_array(folder / f"{name}_indptr.npy", np.frombuffer(indptr, np.int64))
        write_array(folder / f"{name}_hashes.npy", np.frombuffer(hashes, np.uint32))


def called(analyser: Analyser, item: CatalogueItem) -> tuple[list[str], list[str]]:
    """The indexed words that an item is called, and those of what it is for."""
    parts = (part for part in NAME_ENDS.split(item.title) if any(char.isalpha() for char in part))
    named, measured = analyser.surface(next(parts, "")), set(measures(item.title))
    while named and named[0] in measured:
        named.pop(0)
    named = list(takewhile(lambda word: word not in measured, named))
    name = list(takewhile(lambda word: word not in RELATING, named))
    values = (analyser.surface(value) for _, value in item.attributes)
    short = (analyser.surface(item.brand or ""), *(value for value in values if len(value) <= VALUE_WORDS))
    told = {*RELATING, *(word for value in short for word in value)}
    of_name, of_purpose = (
        [analyser.stem(word) for word in words if word not in told] for words in (name, named[len(name) :])
    )
    return of_name, of_purpose


def _stems(analyser: Analyser, text: str) -> list[str]:
    return [analyser.stem(word) for word in analyser.surface(text)]


def _hash(word: str) -> int:
    return zlib.crc32(word.encode())


def names_model(read: ReadQuery) -> bool:
    """Whether a query holds a number that is no measure."""
    numbers = [word.written for word in read.words if any(char.isdigit() for char in word.written)]
    return bool(numbers) and not set(numbers) <= set(measures(read.asked))


def _score(scored: Scored) -> Column | None:
    read = scored.indexes[LEXICAL_INDEX].read(scored.query.query, scored.query.as_typed)
    if MODELS_ONLY and not names_model(read):
        return None
    return scored.indexes[TITLE_INDEX].score(read.words, scored.rows)


TITLE_INDEX = IndexFile(
    "titles",
    lambda layout, shop: build_titles(layout.titles, shop.items(), *shop.languages),
    lambda layout: TitleIndex.open(layout.titles),
)
NAME = RecallChannel(TITLE_INDEX, needs=(WORDS,), score=_score)
