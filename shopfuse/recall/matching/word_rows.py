"""The rows that hold each indexed word, and so all rows that hold the words of a query.

tantivy counts and ranks matches, but lists them only as ranked hits, one Python object a row. Here the rows of a word
are a slice of one mapped file, and words are intersected from the rarest on (benchmarks/matching.py).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import key_span, open_array, write_array
from shopfuse.recall.lexical import LexicalIndex
from shopfuse.recall.visits import spans
from shopfuse.recall.words.query_reading import Form, QueryWord
from shopfuse.release.manifest import ReleaseError

Rows = NDArray[np.int32]
Mask = NDArray[np.bool_]
NO_ROWS: Rows = np.zeros(0, np.int32)
# Below, looking up the rows of the smaller set in the larger one is faster than marking the larger one's.
LOOK_UP_SHARE = 1 / 16


@dataclass(frozen=True, slots=True)
class Matches:
    rows: Rows  # that hold the words, ascending
    # Words that no item which passes holds together with the others: the rows do without them.
    relaxed: tuple[QueryWord, ...] = ()


@dataclass(frozen=True, slots=True)
class WordRows:
    keys: NDArray[np.uint64]  # [words], ascending
    indptr: NDArray[np.int64]  # [words + 1]
    word_rows: Rows  # ascending within a word
    items: int

    @classmethod
    def open(cls, folder: Path, items: int) -> WordRows:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        keys = open_array(folder / "word_keys.npy", np.uint64)
        indptr = open_array(folder / "word_indptr.npy", np.int64)
        rows = open_array(folder / "word_rows.npy", np.int32)
        if len(indptr) != len(keys) + 1 or indptr[-1] != len(rows):
            raise ReleaseError(f"{folder}/word_indptr.npy: does not fit word_keys.npy and word_rows.npy")
        return cls(keys, indptr, rows, items)

    def matching(self, words: Sequence[QueryWord], passing: Mask | None = None) -> Matches:
        """The rows that hold all words, each in any of its forms, `passing` [items] or not.

        From the rarest word on: one that no passing row holds together with the rarer ones, or at all, is relaxed.
        Where no row with any of the words passes, all rows count as passing.
        """
        held = [(self._of_word(word), word) for word in words]
        rows, relaxed = NO_ROWS, []
        for found, word in sorted(held, key=lambda one: _count(one[0], passing)):
            both = self._both(rows, found) if len(rows) else found
            if _count(both, passing):
                rows = both
            else:
                relaxed.append(word)
        if passing is not None and len(relaxed) == len(words):
            return self.matching(words)
        return Matches(rows, tuple(word for word in words if word in relaxed))

    def _of_word(self, word: QueryWord) -> Rows:
        forms = [rows for form in word.forms if len(rows := self._of_form(form))]
        return forms[0] if len(forms) == 1 else self._any(forms)

    def _of_form(self, form: Form) -> Rows:
        return reduce(self._both, sorted((self._of_term(term) for term in form), key=len))

    def _of_term(self, term: str) -> Rows:
        return self.word_rows[key_span(self.keys, self.indptr, _key(term))]

    def _any(self, parts: Sequence[Rows]) -> Rows:
        if not parts:
            return NO_ROWS
        held = np.zeros(self.items, np.bool_)
        for rows in parts:
            held[rows] = True
        return np.flatnonzero(held).astype(np.int32)

    def _both(self, few: Rows, many: Rows) -> Rows:
        if len(few) == 0 or len(many) == 0:
            return NO_ROWS
        if len(few) < LOOK_UP_SHARE * len(many):
            at = np.minimum(np.searchsorted(many, few), len(many) - 1)
            found: Rows = few[many[at] == few]
            return found
        held = np.zeros(self.items, np.bool_)
        held[many] = True
        both: Rows = few[held[few]]
        return both


def _count(rows: Rows, passing: Mask | None) -> int:
    return len(rows) if passing is None else int(np.count_nonzero(passing[rows]))


def build_word_rows(folder: Path, index: LexicalIndex) -> None:
    """Writes the rows of every word of the index."""
    keys, sizes, rows = array("Q"), array("q"), array("i")
    for term in index.terms():
        held = index.rows_with(term)
        keys.append(_key(term))
        sizes.append(len(held))
        rows.frombytes(held.tobytes())
    order = np.argsort(np.frombuffer(keys, np.uint64), kind="stable")
    starts = np.cumsum(np.frombuffer(sizes, np.int64)) - np.frombuffer(sizes, np.int64)
    ordered = np.frombuffer(sizes, np.int64)[order]
    write_array(folder / "word_keys.npy", np.frombuffer(keys, np.uint64)[order])
    write_array(folder / "word_indptr.npy", np.concatenate(([0], np.cumsum(ordered))).astype(np.int64))
    write_array(folder / "word_rows.npy", np.frombuffer(rows, np.int32)[spans(starts[order], ordered)])


@lru_cache(65536)
def _key(term: str) -> int:
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "little")
