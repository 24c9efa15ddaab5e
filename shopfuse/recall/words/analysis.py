"""How text becomes words: the same for items and for queries of one language.

Text is folded (NFKC), quantities become single words, Chinese is cut at its words' bounds, and what remains is done by
a tantivy analyser: lower case, no accents or ligatures, stems. Traditional and simplified characters stay as they were
written. What is folded is for comparing only: nobody is shown it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import metadata

import tantivy

from shopfuse.ranking.languages import language_of
from shopfuse.ranking.text import separate_fractions
from shopfuse.recall.words.joints import Token, tokens
from shopfuse.recall.words.units import measures, with_measures

VERSION = 4  # of the rules here and in units.py, and of what an index knows beside them: none of another is searched
SEGMENTER = "rjieba"
MAX_WORD_BYTES = 40
STEMS = 100_000  # remembered: a catalogue repeats its words
HAN = (("\u3400", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff"))


class Analyser:
    """The words of texts in one language. Raises UnknownLanguage."""

    def __init__(self, language: str) -> None:
        rules = language_of(language)
        self.language = language
        self.segmented = rules.segmented
        self.compounds = rules.compounds
        self._digraphs = re.compile(rf"(?<![aeiouq])(?:{'|'.join(rules.digraphs)})", re.I) if rules.digraphs else None
        self.stems = _word_filters(rules.stemmer)
        self._plain = _word_filters("")
        self.stem = lru_cache(STEMS)(self._stem)  # the indexed form of one surface word
        self.identity = _identity(language, rules.segmented)

    def item_text(self, text: str, further: Iterable[str] = ()) -> str:
        """What tantivy's analyser gets to read of an item's folded text, and of further words of it."""
        return " ".join([self._spaced(self._letters(text), of_item=True), *measures(text), *further])

    def surface(self, text: str) -> list[str]:
        """The words of a query, or of an item for its vocabulary, as they are written but in lower case and without
        accents; in their order, may repeat."""
        words: list[str] = self._plain.analyze(
            self._spaced(self._letters(with_measures(self.folded(text))), of_item=False)
        )
        return words

    def tokens(self, text: str) -> list[Token]:
        """The words of a folded text with what is between them; a whole run of Chinese is one."""
        return tokens(text, self._plain_word)

    def _stem(self, word: str) -> str:
        return next(iter(self.stems.analyze(word)), word)

    def folded(self, text: str) -> str:
        valid = text.encode(errors="replace").decode()  # lone surrogates are no UTF-8
        return unicodedata.normalize("NFKC", separate_fractions(valid))

    def _letters(self, text: str) -> str:
        return self._digraphs.sub(lambda match: match[0][0], text) if self._digraphs else text

    def _plain_word(self, word: str) -> str:
        word = self._letters(word)
        return word.lower() if word.isascii() else next(iter(self._plain.analyze(word)), word)

    def _spaced(self, text: str, of_item: bool) -> str:
        return " ".join(_segments(text, of_item)) if self.segmented else text


def _segments(text: str, of_item: bool) -> list[str]:
    """The text's words, long ones with the words inside them. Of an item also each character by itself.

    Without the segmenter's guesses at unknown words: those depend on what stands beside them, and an item would then
    be cut elsewhere than the query that means it.
    """
    import rjieba  # its dictionary takes 30 MB and 0.1 s: only a shop in Chinese pays for it

    segments: list[str] = rjieba.cut_for_search(text, hmm=False)
    if of_item:
        segments += [char for segment in segments if len(segment) > 1 for char in segment if is_han(char)]
    return segments


def fold_word(word: str) -> str:
    """One word as the words of a query are written: in lower case and without accents."""
    return next(iter(_word_filters("").analyze(word)), word)


def is_han(char: str) -> bool:
    return any(first <= char <= last for first, last in HAN)


def _identity(language: str, segmented: bool) -> str:
    """Names what decides how words are cut; an index may be searched with the very same only."""
    cutter = f"{SEGMENTER} {metadata.version(SEGMENTER)}" if segmented else "spaces"
    return f"{language.split('-')[0]}, rules {VERSION}, {cutter}"


@cache
def _word_filters(stemmer: str) -> tantivy.TextAnalyzer:
    words = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    words = words.filter(tantivy.Filter.remove_long(MAX_WORD_BYTES)).filter(tantivy.Filter.lowercase())
    words = words.filter(tantivy.Filter.ascii_fold())
    return (words.filter(tantivy.Filter.stemmer(stemmer)) if stemmer else words).build()
