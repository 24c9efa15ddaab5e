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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
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
from shopfuse.recall.word_channels import LEXICAL_INDEX
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
MIN_HYPHENED = 5  # of one in capitals with a hyphen
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
_HYPHENED = re.compile(r"(?<![\w-])[A-Z]+[0-9]*-[A-Z0-9]+(?:-[A-Z0-9]+)*(?![\w-])")
_SIZE = re.compile(r"m?\d+(?:x\d+)+[a-z]{0,2}")


@dataclass(frozen=True, slots=True)
class SuffixArray:
    """Texts of letters and digits, and where a piece of one begins: anywhere, or at the beginning of a word."""

    text: NDArray[np.uint8]  # all texts, each between two ENDs
    starts: NDArray[np.int64]  # [texts], where each begins, ascending
    rows: NDArray[np.int32]  # [texts], whose it is
    suffixes: NDArray[np.uint32]  # places in the text, in the order of what follows them

    @classmethod
    def open(cls, folder: Path) -> SuffixArray:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        names = (("text", np.uint8), ("starts", np.int64), ("rows", np.int32), ("suffixes", np.uint32))
        array = cls(*(open_array(folder / f"{name}.npy", dtype) for name, dtype in names))
        if len(array.starts) != len(array.rows) or len(array.suffixes) > len(array.text):
            raise ReleaseError(f"{folder}/rows.npy: does not fit starts.npy, text.npy and suffixes.npy")
        return array

    def texts_with(self, piece: str) -> NDArray[np.int64]:
        """The texts that hold a piece, which may have an END before or behind it; distinct."""
        wanted, text, suffixes = piece.encode(), self.text, self.suffixes
        length = len(wanted)

        def at(place: int) -> bytes:
            start = int(suffixes[place])
            return text[start : start + length].tobytes()

        first = bisect_left(range(len(suffixes)), wanted, key=at)
        last = bisect_left(range(len(suffixes)), wanted + b"\xff", lo=first, key=at)
        places = suffixes[first:last].astype(np.int64) + (piece[0] == END)
        texts: NDArray[np.int64] = np.unique(np.searchsorted(self.starts, places, side="right") - 1)
        return texts

    def rows_with(self, piece: str) -> list[int]:
        rows: list[int] = np.unique(self.rows[self.texts_with(piece)]).tolist()
        return rows

    def lengths(self, texts: NDArray[np.int64]) -> NDArray[np.int64]:
        lengths: NDArray[np.int64] = np.append(self.starts[1:], len(self.text))[texts] - 1 - self.starts[texts]
        return lengths


def write_suffix_array(folder: Path, texts: Sequence[Sequence[str]], rows: Sequence[int], anywhere: bool) -> None:
    """Each text is a sequence of words, which are written in one. Ordered by as many letters as a piece has at most."""
    words = [[word.encode() for word in text] for text in texts]
    text = np.frombuffer(END.encode() + b"".join(b"".join(parts) + END.encode() for parts in words), np.uint8)
    lengths = np.array([sum(map(len, parts)) + 1 for parts in words], np.int64)
    starts = 1 + np.cumsum(lengths) - lengths
    width = MAX_LENGTH + 2
    padded = np.concatenate([text, np.zeros(width, np.uint8)])
    windows: NDArray[np.bytes_] = np.ndarray((len(text),), f"S{width}", padded.data, strides=(1,))
    if anywhere:
        places = np.arange(len(text))
    else:
        places = np.array(
            [
                at
                for start, parts in zip(starts.tolist(), words, strict=True)
                for at in accumulate(map(len, parts[:-1]), initial=start)
            ],
            np.int64,
        )
    write_array(folder / "text.npy", text)
    write_array(folder / "starts.npy", starts.astype(np.int64))
    write_array(folder / "rows.npy", np.array(rows, np.int32))
    write_array(folder / "suffixes.npy", places[np.argsort(windows[places], kind="stable")].astype(np.uint32))


@dataclass(frozen=True)
class IdentifierIndex:
    """Without slots: what a query found is remembered for the second time that it is needed."""

    identifiers: SuffixArray
    titles: SuffixArray
    items: int

    @classmethod
    def open(cls, folder: Path) -> IdentifierIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        items = open_array(folder / "items.npy", np.int64)
        return cls(SuffixArray.open(folder / "identifiers"), SuffixArray.open(folder / "titles"), int(items.sum()))

    def __len__(self) -> int:
        return self.items

    @cached_property
    def found(self) -> Callable[[str, bool], Hits]:
        """The items that a query names, given whether the catalogue has all of its words: LEADS and above where an
        identifier is the whole query or stands in it as it is, or where the query is a piece of few; less where it is
        a piece of many. Where a word is not known, pieces of titles are looked at as well."""
        return lru_cache(REMEMBERED)(self._found)

    def _found(self, query: str, known: bool) -> Hits:
        whole = _plain(query)
        scores: dict[int, float] = {}
        for span in [whole, *_spans(query)]:
            if _is_long_enough(span):
                scores |= dict.fromkeys(self.identifiers.rows_with(END + span + END), 1.0)
        if not scores and _is_long_enough(whole):
            scores = self._with_piece(whole)
        if not scores and not known and _is_long_enough(whole):
            titled = self.titles.rows_with(whole)
            scores = dict.fromkeys(titled, LEADS if len(titled) <= FEW else LEADS * 0.99)
        return best(np.array(list(scores), np.int32), np.array(list(scores.values()), np.float32), len(scores))

    def _with_piece(self, piece: str) -> dict[int, float]:
        """By how much of the whole identifier the piece is."""
        texts = self.identifiers.texts_with(piece)
        rows, shares = self.identifiers.rows[texts], len(piece) / self.identifiers.lengths(texts)
        few = len(np.unique(rows)) <= FEW
        level = LEADS + (1.0 - LEADS) * 0.99 * shares if few else LEADS * 0.99 * shares
        scores: dict[int, float] = {}
        for row, score in zip(rows.tolist(), level.tolist(), strict=True):
            scores[row] = max(score, scores.get(row, 0.0))
        return scores


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
    hyphened = [_plain(run) for run in _HYPHENED.findall(text)]
    return {code for code in runs if _is_code(code)} | {
        code for code in hyphened if MIN_HYPHENED <= len(code) <= MAX_LENGTH and _has_digit(code)
    }


def _is_code(code: str) -> bool:
    digits = sum(char.isdigit() for char in code)
    sized = MIN_IN_TITLE <= len(code) <= MAX_LENGTH and digits >= 2
    return sized and code.isascii() and _SIZE.fullmatch(code) is None


def build_identifiers(folder: Path, items: Iterable[CatalogueItem]) -> None:
    """Writes the index of items in row order, which are gone through twice."""
    shared = Counter(code for item in items for code in title_codes(item.title))
    codes: list[tuple[str, int]] = []
    titles: list[list[str]] = []
    for row, item in enumerate(items):
        rare = {code for code in title_codes(item.title) if shared[code] <= MAX_ITEMS}
        codes += [(code, row) for code in sorted(named_identifiers(item) | rare)]
        titles.append(_WORD.findall(item.title.casefold()))
    write_suffix_array(folder / "identifiers", [[code] for code, _ in codes], [row for _, row in codes], anywhere=True)
    write_suffix_array(folder / "titles", titles, range(len(titles)), anywhere=False)
    write_array(folder / "items.npy", np.array([len(titles)], np.int64))


IDENTIFIER_INDEX = IndexFile(
    "identifiers",
    lambda layout, shop: build_identifiers(layout.identifiers, Items(shop.items)),
    lambda layout: IdentifierIndex.open(layout.identifiers),
)


def _found(indexes: RecallIndexes, query: str) -> Hits:
    return indexes[IDENTIFIER_INDEX].found(query, indexes[LEXICAL_INDEX].knows(query))


def named_rows(indexes: RecallIndexes, query: str) -> NDArray[np.int32]:
    """The rows of the items that a query surely names, ascending."""
    hits = _found(indexes, query)
    return np.sort(hits.rows[hits.scores >= LEADS])


def _search(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Hits:
    hits = _found(indexes, query.query)
    if selection is not None and len(hits):
        kept = np.flatnonzero(selection.mask[hits.rows])
        hits = Hits(hits.rows[kept], hits.scores[kept])
    return Hits(hits.rows[:k], hits.scores[:k]) if len(hits) else NO_HITS


def _score(scored: Scored) -> Column | None:
    """Nothing is said of a query that names nothing."""
    hits = _found(scored.indexes, scored.query.query)
    if len(hits) == 0:
        return None
    order = np.argsort(hits.rows)
    at = order[np.minimum(np.searchsorted(hits.rows, scored.rows, sorter=order), len(order) - 1)]
    return np.where(hits.rows[at] == scored.rows, hits.scores[at], 0.0).astype(np.float32)


IDENTIFIER = RecallChannel(IDENTIFIER_INDEX, needs=(WORDS,), score=_score, search=_search)
