"""Items as the indexes take them: with what a build works out of their text and their rows do not say.

Sudachi's core dictionary says how Japanese words sound; it takes 190 MB and 0.1 s, so only a build of such a shop
reads it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from shopfuse.datasets.catalogue_language import languages_of, telling_texts
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.words.kana import told_by_sound
from shopfuse.training.data.catalogue import Catalogue, catalogue_items

REMEMBERED = 100_000  # words

_NO_JAPANESE = re.compile(r"[^\w]+|[A-Za-z0-9]+")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")


def indexed_items(catalogue: Catalogue) -> Callable[[], Iterable[CatalogueItem]]:
    """The items in row order, to be gone through again and again: with the language of each where the catalogue has
    several, and with what Japanese ones sound like."""
    languages = catalogue.languages
    japanese = [language for language in languages if language.startswith("ja")]
    if len(languages) == 1 and not japanese:
        return lambda: catalogue_items(catalogue.frame)
    frame, told = catalogue.frame, [catalogue.language] * len(catalogue)
    if len(languages) > 1:
        told = languages_of(telling_texts(frame.select("title", "description", "brand")), languages)
    of_language = (replace(item, language=code) for item, code in zip(catalogue_items(frame), told, strict=True))
    sounds = [item.sounds for item in with_sounds(of_language)] if japanese else [()] * len(catalogue)
    return lambda: (
        replace(item, language=code, sounds=said)
        for item, code, said in zip(catalogue_items(frame), told, sounds, strict=True)
    )


def with_sounds(items: Iterable[CatalogueItem]) -> Iterator[CatalogueItem]:
    """The items, of which Japanese ones have the readings of their titles, brands and categories."""
    readings = JapaneseReadings()
    for item in items:
        text = " ".join((item.title, item.brand or "", *item.category)) if item.language.startswith("ja") else ""
        yield replace(item, sounds=tuple(readings.of(text)))


class JapaneseReadings:
    """How Japanese words in Chinese characters sound."""

    def __init__(self) -> None:
        from sudachipy import Dictionary, SplitMode

        self._short = SplitMode.A
        self._words = Dictionary(dict="core").tokenizer(SplitMode.C)
        self._alone = lru_cache(REMEMBERED)(self._sound)

    def of(self, text: str) -> list[str]:
        """The readings of a text's words, of long ones and of those inside them, which may sound otherwise alone: 時計
        is トケイ, but 腕時計 is ウデドケイ."""
        found = list[str]()
        for run in filter(_HAN.search, _NO_JAPANESE.split(unicodedata.normalize("NFKC", text))):
            for word in self._words.tokenize(run):
                parts = [part.surface() for part in word.split(self._short)]
                found += [word.reading_form(), *(map(self._alone, parts) if len(parts) > 1 else ())]
        told = told_by_sound(found)
        return [reading for reading in dict.fromkeys(found) if reading in told]

    def _sound(self, word: str) -> str:
        return "".join(part.reading_form() for part in self._words.tokenize(word))
