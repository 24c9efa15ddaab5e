"""What can be completed to, from a catalogue and the searches in it: phrases of titles, searches, categories, brands.

Only what leads to an item that can be bought now is kept. What shoppers typed is text of theirs: a search comes in when
enough different users went on from it, and nothing that could name or reach one of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.item import CATEGORY_SEPARATOR, CatalogueItem
from shopfuse.recall.completion.folding import folded_key, folded_words
from shopfuse.recall.completion.phrases import TitlePhrases
from shopfuse.recall.lexical_recipe import telling_text
from shopfuse.recall.words.spelling import Spelling

QUERY, CATEGORY, BRAND = "q", "c", "b"  # kinds
MAX_SEARCH = 128  # code points, as of a prefix
MAX_DIGITS = 6  # in a row, whatever parts them: a phone's, a card's or an order's number has more
_REACHES = re.compile(rf"@|https?:|www\.|\d(?:[ ()/.+-]{{0,3}}\d){{{MAX_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Searched:
    """Searches that enough different users went on from."""

    text: str
    users: int
    rows: NDArray[np.int32]  # the items that they chose, once for each user


@dataclass(frozen=True, slots=True)
class CompletionEntry:
    kind: str  # QUERY, CATEGORY or BRAND
    text: str  # as it is shown
    items: int  # that it leads to
    popularity: float  # of these items, summed; a search counts an item for each user that chose it
    keys: tuple[str, ...]  # folded; it goes on from every beginning of them
    frequency: int = 0  # items, and users that searched for it: the order of what is equally popular


@dataclass(slots=True)
class _Lead:
    """What a category or a brand leads to."""

    names: dict[str, int] = field(default_factory=dict)  # spellings and their items
    items: int = 0
    popularity: float = 0.0

    def add(self, name: str, popularity: float) -> None:
        self.names[name] = self.names.get(name, 0) + 1
        self.items += 1
        self.popularity += popularity

    @property
    def name(self) -> str:
        return max(self.names, key=lambda name: self.names[name])


class CompletionEntries:
    """Takes a catalogue in, item by item in the order of the rows."""

    def __init__(self, language: str) -> None:
        self._phrases = TitlePhrases(language)
        self._categories: dict[tuple[str, ...], _Lead] = {}
        self._brands: dict[str, _Lead] = {}
        self._words: set[str] = set()
        self._popular: list[float] = []  # -1 where an item cannot be bought

    def add(self, item: CatalogueItem, popularity: float) -> None:
        self._popular.append(popularity if item.available else -1.0)
        if not item.available:
            return
        self._phrases.add(item.title, popularity)
        self._words.update(folded_words(item.title), folded_words(telling_text(item)))
        for depth in range(1, len(item.category) + 1):
            path = item.category[:depth]
            folded = tuple(level.casefold() for level in path)
            self._categories.setdefault(folded, _Lead()).add(CATEGORY_SEPARATOR.join(path), popularity)
        if item.brand and (key := folded_key(item.brand)):
            self._brands.setdefault(key, _Lead()).add(item.brand, popularity)

    def entries(
        self, searched: Iterable[Searched], users: Collection[str], spelling: Spelling
    ) -> list[CompletionEntry]:
        """All that the catalogue has, and the searches that may be shown; best first. `users` are all their ids."""
        names = {user.casefold() for user in users}
        shown = (search for search in searched if not self._is_private(search.text, names))
        found = [*self._category_entries(), *self._brand_entries(), *self._query_entries(shown, spelling)]
        return sorted(found, key=lambda entry: (-entry.popularity, -entry.frequency, entry.text))

    def _category_entries(self) -> Iterator[CompletionEntry]:
        for path, lead in self._categories.items():
            if keys := _from_each_word(folded_key(path[-1])):
                yield CompletionEntry(CATEGORY, lead.name, lead.items, lead.popularity, keys, lead.items)

    def _brand_entries(self) -> Iterator[CompletionEntry]:
        for key, lead in self._brands.items():
            joined = key.replace(" ", "") + " "  # H&M is also typed hm
            keys = tuple(dict.fromkeys((*_from_each_word(key), joined)))
            yield CompletionEntry(BRAND, lead.name, lead.items, lead.popularity, keys, lead.items)

    def _query_entries(self, searched: Iterable[Searched], spelling: Spelling) -> Iterator[CompletionEntry]:
        """Phrases and searches, those that fold to the same as one, in the spelling that is seen more often."""
        found = self._phrases.frequent()
        best: dict[str, CompletionEntry] = {}
        rows = zip(found.texts, found.items.tolist(), found.popularity.tolist(), strict=True)
        for text, items, popularity in rows:
            key = folded_key(text)
            _merge(best, CompletionEntry(QUERY, text, items, popularity, (key,), items))
        for search in searched:
            if (entry := self._searched_entry(search)) and not self._is_slip(entry.keys[0], spelling):
                _merge(best, entry)
        yield from best.values()

    def _searched_entry(self, search: Searched) -> CompletionEntry | None:
        popular = np.array([self._popular[row] for row in search.rows.tolist()])
        items = len(set(search.rows[popular >= 0].tolist()))
        text = " ".join(search.text.lower().split())
        if not items or not (key := folded_key(text)):
            return None
        popularity = float(popular[popular >= 0].sum())
        return CompletionEntry(QUERY, text, items, popularity, (key,), items + search.users)

    def _is_private(self, search: str, names: Collection[str]) -> bool:
        """True for what could reach or name a person: an address, a long number, the id of a user. An id that the
        catalogue has as a word, such as "15", names nobody."""
        if len(search) > MAX_SEARCH or _REACHES.search(search):
            return True
        named = [word for word in (search, *search.split()) if word.casefold() in names]
        return any(not self._words.issuperset(folded_words(word)) for word in named)

    def _is_slip(self, key: str, spelling: Spelling) -> bool:
        """True where a word is none of the catalogue's and near one of those: that one is completed to."""
        return any(word not in self._words and spelling.correction(word) for word in key.split())


def _from_each_word(key: str) -> tuple[str, ...]:
    """The key from its first word on, from its second on, ..."""
    words = key.split()
    return tuple(f"{' '.join(words[start:])} " for start in range(len(words)))


def _merge(best: dict[str, CompletionEntry], entry: CompletionEntry) -> None:
    (key,) = entry.keys
    if (other := best.get(key)) is None:
        best[key] = entry
        return
    text = max((other, entry), key=lambda one: one.frequency).text
    best[key] = CompletionEntry(
        QUERY,
        text,
        max(other.items, entry.items),
        other.popularity + entry.popularity,
        (key,),
        other.frequency + entry.frequency,
    )
