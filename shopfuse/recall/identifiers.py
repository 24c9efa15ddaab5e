"""Identifiers: part numbers, GTINs, article numbers, however they are typed, and pieces of them.

An identifier is compared as its letters and digits alone: 6ES7214-1AG40-0XB0 is 6es72141ag400xb0. Known are an item's
id, its GTIN, MPN and SKU, attributes that are named as such, and what looks like a part number in its title. All are
one text with a suffix array over it (Manber and Myers, 1990), so that a piece of one is found as fast as the whole.

A GTIN is found with or without leading zeros and check digit.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.order import LEADS
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.contents import Items
from shopfuse.recall.hits import NO_HITS, Hits, best
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, RecallIndexes, Scored
from shopfuse.recall.query import WORDS, RecallQuery
from shopfuse.recall.selection import Selection
from shopfuse.recall.words.units import without_measures
from shopfuse.release.manifest import ReleaseError

NAMES = frozenset(
    (
        *("gtin", "ean", "upc", "isbn", "mpn", "sku", "asin", "partno", "partnumber", "manufacturerpartnumber"),
        *("modelno", "modelnumber", "productcode", "itemnumber", "articlenumber", "artikelnummer", "artnr"),
        *("herstellernummer", "herstellerartikelnummer", "teilenummer", "bestellnummer", "referencia", "reference"),
    )
)  # of attributes, in letters only
MIN_PIECE = 4  # letters and digits of a piece of an identifier
MIN_WITHIN = 5  # of one among other words, of which not all are digits; of digits alone as many as of a short GTIN
MIN_DIGITS = 8
MIN_IN_TITLE = 6  # of a part number in a title
MAX_LETTERS = 4  # capitals before a number that stands apart in a title: LC 1100
MAX_ITEMS = 16  # that share what looks like a part number in titles; what more have is a word
MAX_LENGTH = 64
MAX_WORDS = 5  # that one identifier is typed in
MAX_SPANS = 32
FEW = 10  # items with a piece in common, which is then as good as a name
REMEMBERED = 1024
END = "\n"

_WORD = re.compile(r"[^\W_]+")
_RUN = re.compile(r"[^\W_]+(?:[-/.#+_][^\W_]+)*")
_APART = re.compile(rf"(?<![^\W_])([A-Z]{{1,{MAX_LETTERS}}}) (\d{{3,}}[A-Za-z]{{0,3}})(?![^\W_])")
_SIZE = re.compile(r"m?\d+(?:x\d+)+[a-z]{0,2}")


@dataclass(frozen=True)
class IdentifierIndex:
    """Without slots: what a query found is remembered for the second time that it is needed."""

    text: NDArray[np.uint8]  # all identifiers, each between two ENDs
    starts: NDArray[np.int64]  # [entries], where each begins in the text, ascending
    rows: NDArray[np.int32]  # [entries], whose it is
    suffixes: NDArray[np.uint32]  # places in the text, in the order of what follows them
    items: int

    @classmethod
    def open(cls, folder: Path) -> IdentifierIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        names = (("text", np.uint8), ("starts", np.int64), ("rows", np.int32), ("suffixes", np.uint32))
        text, starts, rows, suffixes = (open_array(folder / f"{name}.npy", dtype) for name, dtype in names)
        items = open_array(folder / "items.npy", np.int64)
        if len(starts) != len(rows) or len(suffixes) != len(text) or len(items) != 1:
            raise ReleaseError(f"{folder}/rows.npy: does not fit starts.npy, text.npy, suffixes.npy and items.npy")
        index = cls(text, starts, rows, suffixes, int(items[0]))
        object.__setattr__(index, "found", lru_cache(REMEMBERED)(index._found))
        return index

    def __len__(self) -> int:
        return self.items

    def found(self, query: str) -> Hits:
        """The items that a query names: LEADS and above where an identifier is the whole query or stands in it as it
        is, or where the query is a piece of few; less where it is a piece of many."""
        return self._found(query)

    def _found(self, query: str) -> Hits:
        whole = _plain(query)
        scores: dict[int, float] = {}
        for span in [whole, *_spans(query)]:
            if _is_long_enough(span):
                scores |= dict.fromkeys(self._rows(END + span + END).tolist(), 1.0)
        if not scores and len(whole) >= MIN_PIECE and _has_digit(whole):
            scores = self._with_piece(whole)
        return best(np.array(list(scores), np.int32), np.array(list(scores.values()), np.float32), len(scores))

    def _with_piece(self, piece: str) -> dict[int, float]:
        """By how much of the whole identifier the piece is."""
        entries = self._entries(piece)
        if len(entries) == 0:
            return {}
        ends = np.append(self.starts[1:], len(self.text))[entries] - 1
        shares = len(piece) / np.maximum(ends - self.starts[entries], 1)
        few = len(np.unique(self.rows[entries])) <= FEW
        level = LEADS + (1.0 - LEADS) * 0.99 * shares if few else LEADS * 0.99 * shares
        scores: dict[int, float] = {}
        for row, score in zip(self.rows[entries].tolist(), level.tolist(), strict=True):
            scores[row] = max(score, scores.get(row, 0.0))
        return scores

    def _rows(self, piece: str) -> NDArray[np.int32]:
        rows: NDArray[np.int32] = np.unique(self.rows[self._entries(piece)])
        return rows

    def _entries(self, piece: str) -> NDArray[np.int64]:
        """The entries whose text, with the END before and behind it, holds a piece."""
        wanted, text, suffixes = piece.encode(), self.text, self.suffixes
        length = len(wanted)

        def at(place: int) -> bytes:
            start = int(suffixes[place])
            return text[start : start + length].tobytes()

        first = bisect_left(range(len(suffixes)), wanted, key=at)
        last = bisect_left(range(len(suffixes)), wanted + b"\xff", lo=first, key=at)
        places = suffixes[first:last].astype(np.int64) + (piece[0] == END)
        entries: NDArray[np.int64] = np.unique(np.searchsorted(self.starts, places, side="right") - 1)
        return entries


def _plain(text: str) -> str:
    return "".join(_WORD.findall(text.casefold()))


def _has_digit(text: str) -> bool:
    return any(char.isdigit() for char in text)


def _is_long_enough(code: str) -> bool:
    return MIN_PIECE <= len(code) <= MAX_LENGTH and _has_digit(code)


def _spans(query: str) -> Iterator[str]:
    """What may be an identifier among other words: neighbouring words as one, quantities left out."""
    count = 0
    for part in without_measures(query.casefold()).split(","):
        words = _WORD.findall(part)
        for start in range(len(words)):
            for end in range(start + 1, min(start + MAX_WORDS, len(words)) + 1):
                span = "".join(words[start:end])
                enough = MIN_DIGITS if span.isdigit() else MIN_WITHIN
                if len(span) >= enough and _has_digit(span) and count < MAX_SPANS:
                    count += 1
                    yield span


def named_identifiers(item: CatalogueItem) -> set[str]:
    """The identifiers that an item's fields give it, as they are compared."""
    values = [item.item_id, item.mpn or "", item.sku or ""]
    numbers = [item.gtin or ""]
    for name, value in item.attributes:
        if "".join(char for char in name.casefold() if char.isalpha()) in NAMES:
            values.append(value)
            numbers.append(value)
    codes = {_plain(value) for value in values} | {form for number in numbers for form in _gtin_forms(number)}
    return {code for code in codes if _has_digit(code) and 0 < len(code) <= MAX_LENGTH}


def _gtin_forms(number: str) -> set[str]:
    """A GTIN with the zeros that may lead it, and without its check digit."""
    digits = _plain(number)
    if not (digits.isdigit() and 8 <= len(digits) <= 14):
        return {digits}
    bare = digits.lstrip("0")
    return {digits, *(bare.zfill(length) for length in (8, 12, 13, 14) if len(bare) <= length), bare, bare[:-1]}


def title_codes(title: str) -> set[str]:
    """What looks like a part number in a title: letters and digits of some length that are no quantity."""
    text = without_measures(title)
    runs = [_plain(run) for run in _RUN.findall(text)]
    runs += [piece for run in _RUN.findall(text) if "/" in run for piece in map(_plain, run.split("/"))]
    runs += [_plain(letters + number) for letters, number in _APART.findall(text)]
    return {code for code in runs if _is_code(code)}


def _is_code(code: str) -> bool:
    digits = sum(char.isdigit() for char in code)
    sized = MIN_IN_TITLE <= len(code) <= MAX_LENGTH and digits >= 2
    return sized and code.isascii() and _SIZE.fullmatch(code) is None


def build_identifiers(folder: Path, items: Iterable[CatalogueItem]) -> None:
    """Writes the index of items in row order, which are gone through twice."""
    shared = Counter(code for item in items for code in title_codes(item.title))
    entries: list[tuple[str, int]] = []
    count = 0
    for row, item in enumerate(items):
        rare = {code for code in title_codes(item.title) if shared[code] <= MAX_ITEMS}
        entries += [(code, row) for code in sorted(named_identifiers(item) | rare)]
        count = row + 1
    encoded = [code.encode() for code, _ in entries]
    text = np.frombuffer(END.encode() + b"".join(code + END.encode() for code in encoded), np.uint8)
    lengths = np.array([len(code) + 1 for code in encoded], np.int64)
    write_array(folder / "text.npy", text)
    write_array(folder / "starts.npy", (1 + np.cumsum(lengths) - lengths).astype(np.int64))
    write_array(folder / "rows.npy", np.array([row for _, row in entries], np.int32))
    write_array(folder / "suffixes.npy", _suffix_array(text))
    write_array(folder / "items.npy", np.array([count], np.int64))


def _suffix_array(text: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Ordered by the MAX_LENGTH + 2 letters that a piece has at most."""
    width = MAX_LENGTH + 2
    padded = np.concatenate([text, np.zeros(width, np.uint8)])
    windows: NDArray[np.bytes_] = np.ndarray((len(text),), f"S{width}", padded.data, strides=(1,))
    return np.argsort(windows, kind="stable").astype(np.uint32)


IDENTIFIER_INDEX = IndexFile(
    "identifiers",
    lambda layout, shop: build_identifiers(layout.identifiers, Items(shop.items)),
    lambda layout: IdentifierIndex.open(layout.identifiers),
)


def _search(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Hits:
    hits = indexes[IDENTIFIER_INDEX].found(query.query)
    if selection is not None and len(hits):
        kept = np.flatnonzero(selection.mask[hits.rows])
        hits = Hits(hits.rows[kept], hits.scores[kept])
    return Hits(hits.rows[:k], hits.scores[:k]) if len(hits) else NO_HITS


def _score(scored: Scored) -> Column | None:
    """Nothing is said of a query that names nothing."""
    hits = scored.indexes[IDENTIFIER_INDEX].found(scored.query.query)
    if len(hits) == 0:
        return None
    order = np.argsort(hits.rows)
    at = order[np.minimum(np.searchsorted(hits.rows, scored.rows, sorter=order), len(order) - 1)]
    return np.where(hits.rows[at] == scored.rows, hits.scores[at], 0.0).astype(np.float32)


IDENTIFIER = RecallChannel(IDENTIFIER_INDEX, needs=(WORDS,), score=_score, search=_search)
