"""Which items say that they lack what, learned from their own sentences: "without palm oil", "sugar-free"."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.words.analysis import CatalogueAnalyser
from shopfuse.recall.words.negations import Negations
from shopfuse.release.manifest import ReleaseError

REMEMBERED = 100_000  # words


class Lacking:
    """Counts which items say that they lack what, while a catalogue goes by."""

    def __init__(self, analyser: CatalogueAnalyser) -> None:
        self._analyser, self._negations = analyser, Negations(analyser.language, *analyser.others)
        self._hashes, self._rows = array("L"), array("i")
        self._parts = lru_cache(REMEMBERED)(self._stemmed)

    def add(self, row: int, item: CatalogueItem) -> None:
        values = (value for _, value in item.attributes)
        absent, _ = self._stems(item.title, item.language)
        elsewhere, named = self._stems(
            ". ".join((item.title, item.description, *item.category, *values)), item.language
        )
        for word in absent | (elsewhere - named):
            self._hashes.append(_hash(word))
            self._rows.append(row)

    def _stems(self, text: str, language: str) -> tuple[set[str], set[str]]:
        """What an item's text says is absent, and what of that it names otherwise, in indexed words."""
        absent, others = self._negations.of_item(text)
        return self._indexed(absent, language), self._indexed(others, language)

    def _indexed(self, phrases: Iterable[str], language: str) -> set[str]:
        """A word's indexed parts, each by itself; of a phrase the whole."""
        parts = [
            (" " in phrase, [part for word in phrase.split() for part in self._parts(word, language)])
            for phrase in phrases
        ]
        return {one for is_phrase, words in parts for one in ([" ".join(words)] if is_phrase else words)}

    def _stemmed(self, word: str, language: str) -> tuple[str, ...]:
        analyser = self._analyser.of(language)
        return tuple(analyser.stem(part) for part in analyser.surface(word))

    def write(self, folder: Path) -> None:
        hashes, rows = np.frombuffer(self._hashes, np.uint64), np.frombuffer(self._rows, np.int32)
        order = np.lexsort((rows, hashes))
        folder.mkdir(parents=True, exist_ok=True)
        write_array(folder / "hashes.npy", hashes[order].astype(np.uint32))
        write_array(folder / "rows.npy", rows[order])


@dataclass(frozen=True, slots=True)
class LackingItems:
    hashes: NDArray[np.uint32]  # [n], ascending: of indexed words, and of phrases of them
    rows: NDArray[np.int32]  # [n], of an item that lacks it, ascending for each

    @classmethod
    def open(cls, folder: Path) -> LackingItems:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        lacking = cls(open_array(folder / "hashes.npy", np.uint32), open_array(folder / "rows.npy", np.int32))
        if len(lacking.hashes) != len(lacking.rows):
            raise ReleaseError(f"{folder}/rows.npy: {len(lacking.rows)} rows, expected {len(lacking.hashes)}")
        return lacking

    def of(self, word: str) -> NDArray[np.int32]:
        """The rows of the items that say that they lack an indexed word, or words that stand side by side, and do not
        have it elsewhere."""
        wanted = np.uint32(_hash(word))
        first, last = np.searchsorted(self.hashes, wanted), np.searchsorted(self.hashes, wanted, side="right")
        return self.rows[first:last]


def _hash(word: str) -> int:
    return zlib.crc32(word.encode())
