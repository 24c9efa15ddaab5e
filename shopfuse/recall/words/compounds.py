"""Compounds of languages that write them in one: "stuhl" finds Bürostuhl and Gartenstuhl, "kinder" Kinderschuhe.

The catalogue's own words are the dictionary, compared as stems. A word that ends with what is asked for is a kind of it
and counts as the word itself; one that begins with it is only about it, and counts half. Searching for a query's word
among the ends of the others needs no guess where a word could be cut: that a shopper types it says that it is a word.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MIN_HEAD = 4  # letters of a stem at the end of a word, whatever stands before it
MIN_KNOWN_HEAD = 3  # where a word of the catalogue stands before it: Armband-uhr
MIN_MODIFIER = 3  # letters before a head, and of a word at the beginning of others
LINKS = ("", "s", "n", "en", "er", "es", "e")  # between the parts
MAX_FAMILY = 64  # words that one is found in
LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Compounds:
    stems: tuple[str, ...]  # of the catalogue's words, ascending
    reversed_stems: tuple[str, ...]  # each from its end, ascending

    @classmethod
    def of(cls, stems: Iterable[str]) -> Compounds:
        distinct = set(stems)
        return cls(tuple(sorted(distinct)), tuple(sorted(stem[::-1] for stem in distinct)))

    def kinds_of(self, stem: str, items_with: Callable[[str], int]) -> list[str]:
        """Words that end with a word, the most frequent first."""
        if len(stem) < MIN_KNOWN_HEAD or not stem.isalpha():
            return []
        modifiers = ((word[::-1], word[::-1][: -len(stem)]) for word in _beginning(self.reversed_stems, stem[::-1]))
        sure = len(stem) >= MIN_HEAD
        kinds = [word for word, before in modifiers if len(before) >= MIN_MODIFIER and (sure or self._links(before))]
        return _most_frequent(kinds, items_with)

    def about(self, stem: str, items_with: Callable[[str], int]) -> list[str]:
        """Words that begin with a word and end with another one of the catalogue, the most frequent first."""
        if len(stem) < MIN_MODIFIER or not stem.isalpha():
            return []
        longer = (word for word in _beginning(self.stems, stem) if len(word) >= len(stem) + MIN_MODIFIER)
        return _most_frequent([word for word in longer if self._ends_known(word[len(stem) :])], items_with)

    def _links(self, modifier: str) -> bool:
        return any(modifier.endswith(link) and self._known(modifier[: len(modifier) - len(link)]) for link in LINKS)

    def _ends_known(self, rest: str) -> bool:
        heads = (rest[len(link) :] for link in LINKS if rest.startswith(link))
        return any(len(head) >= MIN_MODIFIER and self._known(head) for head in heads)

    def _known(self, stem: str) -> bool:
        at = bisect_left(self.stems, stem)
        return len(stem) >= MIN_MODIFIER and at < len(self.stems) and self.stems[at] == stem


NO_COMPOUNDS = Compounds((), ())


def _beginning(words: tuple[str, ...], start: str) -> tuple[str, ...]:
    """The words that begin with `start`, itself left out."""
    first, last = bisect_left(words, start), bisect_left(words, start + LAST)
    return tuple(word for word in words[first:last] if word != start)


def _most_frequent(words: list[str], items_with: Callable[[str], int]) -> list[str]:
    if len(words) <= MAX_FAMILY:
        return words
    return sorted(words, key=lambda word: (-items_with(word), word))[:MAX_FAMILY]
