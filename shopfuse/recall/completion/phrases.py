"""The phrases of one to four words that a catalogue's titles repeat, with the items that each leads to.

Counted level by level: a longer phrase is looked at only where the shorter one in it is frequent (Apriori, Agrawal and
Srikant 1994), over arrays of word numbers, so that a million titles take seconds and no table of all phrases is held.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.completion.folding import folded_key, is_filler, runs_of_words, text_of
from shopfuse.recall.words.segmentation import segmenter_of

LONGEST = 4  # words
MIN_ITEMS = 2
ALWAYS = 0.9  # of a phrase's items: one that so many go on from in the same way is only the beginning of the longer one
MAX_PHRASES = 300_000  # those of the most items


@dataclass(frozen=True, slots=True)
class Phrases:
    texts: list[str]
    items: NDArray[np.int64]  # [phrases], whose titles hold it
    popularity: NDArray[np.float64]  # [phrases], summed over these items


@dataclass(frozen=True, slots=True)
class _Level:
    """Phrases of one length. A place is an index into the words of all titles; NONE where no frequent one begins."""

    at: NDArray[np.int64]  # [places], the phrase that begins there
    first: NDArray[np.int64]  # [phrases], a place where each begins
    begins: NDArray[np.int64]  # [phrases], the phrase without its last word
    last: NDArray[np.int64]  # [phrases], the number of that word
    items: NDArray[np.int64]
    popularity: NDArray[Any]


NONE = -1


class TitlePhrases:
    """Takes titles in while a catalogue goes by."""

    def __init__(self, language: str) -> None:
        self._language, self._segmenter = language, segmenter_of(language)
        self._forms: dict[str, int] = {}  # words as they are written
        self._forms_at, self._runs, self._items = array("i"), array("i"), array("i")
        self._popular = array("d")
        self._run = 0

    def add(self, title: str, popularity: float) -> None:
        """One item's title, and how popular the item is, from 0."""
        item = len(self._popular)
        self._popular.append(popularity)
        for run in runs_of_words(title, self._segmenter):
            self._run += 1
            for word in run:
                self._forms_at.append(self._forms.setdefault(word, len(self._forms)))
                self._runs.append(self._run)
                self._items.append(item)

    def frequent(self) -> Phrases:
        """Those of at least MIN_ITEMS items that neither begin nor end with a word which says nothing."""
        if not self._forms:
            return Phrases([], np.zeros(0, np.int64), np.zeros(0))
        words, names = self._numbered()
        runs = np.frombuffer(self._runs, np.int32)
        filler = np.array([is_filler(name.strip(" \0"), self._language) for name in names], np.bool_)
        named = np.array([any(map(str.isalpha, name)) for name in names], np.bool_)
        texts: list[str] = []
        items, popularity = [np.zeros(0, np.int64)], [np.zeros(0)]
        level = self._level(words, np.zeros(len(words), np.int64), len(names))
        single = level.at
        for length in range(1, LONGEST + 1):
            longer = self._level(*_followed(level.at, single, words, runs, length), len(names))
            kept = _complete(level, longer, filler)
            kept &= ~filler[words[level.first]] & ~filler[level.last]
            spans = [words[start : start + length] for start in level.first[kept].tolist()]
            holds_letters = np.array([bool(named[span].any()) for span in spans], np.bool_)
            texts += [_text(names, span) for span, holds in zip(spans, holds_letters, strict=True) if holds]
            items.append(level.items[kept][holds_letters])
            popularity.append(level.popularity[kept][holds_letters])
            level = longer
        return _most_frequent(Phrases(texts, np.concatenate(items), np.concatenate(popularity)))

    def _numbered(self) -> tuple[NDArray[np.int64], list[str]]:
        """(the number of each place's word, each word as it is written most often): café and Cafe are one word."""
        folded = [form[0] + (folded_key(form) or form) for form in self._forms]
        numbers = {word: number for number, word in enumerate(dict.fromkeys(folded))}
        number_of = np.array([numbers[word] for word in folded], np.int64)
        forms_at = np.frombuffer(self._forms_at, np.int32)
        rare_first = np.argsort(np.bincount(forms_at, minlength=len(folded)), kind="stable")
        forms = list(self._forms)
        name_of = {int(number_of[form]): forms[form] for form in rare_first.tolist()}
        return number_of[forms_at], [name_of[number] for number in range(len(numbers))]

    def _level(self, words: NDArray[np.int64], begins: NDArray[np.int64], distinct_words: int) -> _Level:
        """Of the phrases `begins` [places] with the words [places] behind them."""
        places = np.flatnonzero(begins >= 0)
        keys = begins[places] * distinct_words + words[places]
        distinct, first, phrase = np.unique(keys, return_index=True, return_inverse=True)
        owners = np.frombuffer(self._items, np.int32)[places]
        held = np.unique(phrase * len(self._popular) + owners)  # an item that repeats a phrase counts once
        phrase_of, item_of = np.divmod(held, len(self._popular))
        counts = np.bincount(phrase_of, minlength=len(distinct))
        popularity = np.bincount(phrase_of, np.frombuffer(self._popular)[item_of], len(distinct))
        frequent = np.flatnonzero(counts >= MIN_ITEMS)
        number = np.full(len(distinct), NONE, np.int64)
        number[frequent] = np.arange(len(frequent))
        at = np.full(len(begins), NONE, np.int64)
        at[places] = number[phrase]
        before, last = np.divmod(distinct[frequent], distinct_words)
        return _Level(at, places[first[frequent]], before, last, counts[frequent], popularity[frequent])


def _followed(
    at: NDArray[np.int64], single: NDArray[np.int64], words: NDArray[np.int64], runs: NDArray[np.int32], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the word behind the phrase of `length` words at each place, that phrase): NONE for a phrase that does not go on
    with a frequent word, which `single` [places] tells."""
    ahead = max(len(words) - length, 0)
    following, begins = np.zeros(len(words), np.int64), np.full(len(words), NONE, np.int64)
    following[:ahead] = words[length:]
    goes_on = (at[:ahead] >= 0) & (single[length:] >= 0) & (runs[:ahead] == runs[length:])
    begins[:ahead] = np.where(goes_on, at[:ahead], NONE)
    return following, begins


def _complete(level: _Level, longer: _Level, filler: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The phrases that are not nearly always followed by one and the same telling word, [phrases]."""
    most = np.zeros(len(level.items), np.int64)
    telling = ~filler[longer.last]
    np.maximum.at(most, longer.begins[telling], longer.items[telling])
    complete: NDArray[np.bool_] = most < ALWAYS * level.items
    return complete


def _text(names: Sequence[str], span: NDArray[np.int64]) -> str:
    return text_of([names[number] for number in span.tolist()])


def _most_frequent(phrases: Phrases) -> Phrases:
    if len(phrases.texts) <= MAX_PHRASES:
        return phrases
    kept = np.sort(np.argsort(-phrases.items, kind="stable")[:MAX_PHRASES])
    return Phrases([phrases.texts[place] for place in kept], phrases.items[kept], phrases.popularity[kept])
