"""Which words are words: those that a catalogue writes, for what a shopper has begun to type, and those of the shop's
language, which nobody mistyped although the shop lacks them.

A language's words come from the frequency lists of pyspellchecker, of books and subtitles, and English is known
everywhere: shoppers of all countries use its words for products. The build writes them into the index, so that whoever
serves it needs no lists. A language without a list knows the catalogue's words alone.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.words.analysis import fold_word
from shopfuse.recall.words.json_files import read_words, write_words

LISTED = frozenset(("ar", "de", "en", "es", "fr", "it", "nl", "pt", "ru"))  # languages with a list
EVERYWHERE = "en"
MIN_LETTERS = 3  # of what is completed: shorter beginnings begin too many words
MAX_WORDS = 100_000  # of a catalogue, the most frequent ones
COMPLETIONS = 8  # words that a beginning is read as, at most


@dataclass(frozen=True)
class KnownWords:
    """Without slots: the order of the alphabet is made when the first word is completed."""

    items_with: Mapping[str, int]  # of the catalogue's words, how many items hold each
    hashes: NDArray[np.uint32]  # of the language's words, ascending; one in 30,000 other words has a hash among them

    @classmethod
    def open(cls, folder: Path) -> KnownWords:
        """Raises ReleaseError naming the file that is missing or damaged."""
        words = read_words(
            folder / "words.json",
            "the words of a catalogue with their numbers of items",
            lambda content: {str(word): int(count) for word, count in content.items()},
        )
        return cls(words, open_array(folder / "language.npy", np.uint32))

    def is_word(self, word: str) -> bool:
        """Whether the language has the word; False for every word where nothing is known of the language."""
        wanted = _hash(word)
        at = int(np.searchsorted(self.hashes, np.uint32(wanted)))
        return at < len(self.hashes) and int(self.hashes[at]) == wanted

    def completions(self, beginning: str) -> list[str]:
        """The catalogue's words that begin so, the most frequent first, at most COMPLETIONS."""
        if len(beginning) < MIN_LETTERS or not beginning.isalpha():
            return []
        first = bisect_left(self._alphabetic, beginning)
        last = bisect_left(self._alphabetic, beginning + "\U0010ffff")
        frequent = sorted(self._alphabetic[first:last], key=lambda word: (-self.items_with[word], word))
        return frequent[:COMPLETIONS]

    @cached_property
    def _alphabetic(self) -> list[str]:
        return sorted(self.items_with)


def build_known_words(folder: Path, items_with: Mapping[str, int], spoken: Iterable[str]) -> None:
    """Writes the words of a catalogue, told by in how many items each occurs, and those of its languages."""
    words = [word for word in items_with if word.isalpha() and len(word) > MIN_LETTERS]
    frequent = sorted(words, key=lambda word: (-items_with[word], word))[:MAX_WORDS]
    folder.mkdir(parents=True, exist_ok=True)
    write_words(folder / "words.json", {word: items_with[word] for word in frequent})
    languages = LISTED & {*(language.split("-")[0] for language in spoken), EVERYWHERE}
    lists = [_hashes_of(name) for name in sorted(languages)]
    write_array(folder / "language.npy", np.unique(np.concatenate(lists)))


def frequent_words(language: str, count: int) -> list[str]:
    """The most frequent words of a language, or of English where it has no list; of more than three letters."""
    code = language.split("-")[0]
    words = _words_of(code if code in LISTED else EVERYWHERE)
    return [word for word in words if word.isalpha() and len(word) > MIN_LETTERS][:count]


@cache
def _words_of(language: str) -> list[str]:
    """The most frequent first. Only a build reads the lists: 0.3 s and 50 MB."""
    from spellchecker import SpellChecker

    counts = SpellChecker(language=language).word_frequency.dictionary
    return sorted(counts, key=lambda word: (-counts[word], word))


@cache
def _hashes_of(language: str) -> NDArray[np.uint32]:
    """Of the language's words as a query has them."""
    words = _words_of(language)
    return np.array([_hash(word if word.isascii() else fold_word(word)) for word in words], np.uint32)


def _hash(word: str) -> int:
    return zlib.crc32(word.encode())
