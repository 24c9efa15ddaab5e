"""How text becomes words: the same for items and for queries of a language.

Text is folded (NFKC, and characters that are told apart by nobody), quantities become single words, scripts without
spaces are cut at their words' bounds, and what remains is done by a tantivy analyser: lower case, no accents or
ligatures, stems. What is folded is for comparing only: nobody is shown it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from functools import cache, lru_cache

import tantivy

from shopfuse.ranking.languages import language_of
from shopfuse.ranking.text import separate_fractions
from shopfuse.recall.words.joints import Token, tokens
from shopfuse.recall.words.segmentation import segmenters_of
from shopfuse.recall.words.units import measures, with_measures

VERSION = 5  # of the rules here and in units.py, and of what an index knows beside them: none of another is searched
MAX_WORD_BYTES = 40
STEMS = 100_000  # remembered: a catalogue repeats its words
WITH_MARKS = r"[\p{L}\p{N}\p{M}]+"  # of scripts whose vowels and tones are marks
MARKED = ("th", "und")
SPOKEN = frozenset(("zh", "ja"))
CLAUSES = re.compile(r"[;:!?()\[\]{}|•…\n。、]+|[,.](?!\d)|\s[-–—/]\s")  # noqa: RUF001


class Analyser:
    """The words of texts in one language. `beside`: the catalogue's other languages, whose scripts are cut as well.
    `kana`: the words that a Japanese query may be cut into (words/kana.py). Raises UnknownLanguage."""

    def __init__(self, language: str, beside: Sequence[str] = (), kana: Collection[str] = ()) -> None:
        rules = language_of(language)
        self.language = language
        self.segmenters = segmenters_of((language, *beside), kana)
        self.compounds = rules.compounds
        digraphs = re.compile(rf"(?<![aeiouq])(?:{'|'.join(rules.digraphs)})", re.I) if rules.digraphs else None
        # Where several languages read the same words, what only one of them folds is no word's spelling but a stem's.
        self._digraphs = None if beside else digraphs
        self._own_digraphs = digraphs if beside else None
        marked = language.split("-")[0] in MARKED
        self.stems = _word_filters(rules.stemmer, marked)
        self._plain = _word_filters("", marked)
        self.stem = lru_cache(STEMS)(self._stem)  # the indexed form of one surface word
        cutters = [segmenter.identity for segmenter in self.segmenters]
        cutter = " and ".join(cutters) or ("words with marks" if marked else "spaces")
        # Names what decides how words are cut: an index may be searched with the very same only.
        self.identity = f"{language.split('-')[0]}, rules {VERSION}, {cutter}"

    def item_texts(self, text: str, further: Iterable[str] = ()) -> list[str]:
        """What tantivy's analyser gets to read of an item's folded text, and of further words of it: what stands in
        different clauses stands in no phrase."""
        parts = (*CLAUSES.split(text), " ".join([*measures(text), *further]))
        return [self._spaced(self._item_letters(part), of_item=True) for part in parts if part and not part.isspace()]

    def in_order(self, text: str) -> list[str]:
        """The indexed words of a text as they stand in an item that has it; may repeat."""
        words: list[str] = self.stems.analyze(self._spaced(self._item_letters(self.folded(text)), of_item=False))
        return words

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
        return next(iter(self.stems.analyze(_single(word, self._own_digraphs))), word)

    def folded(self, text: str) -> str:
        valid = text.encode(errors="replace").decode()  # lone surrogates are no UTF-8
        folded = unicodedata.normalize("NFKC", separate_fractions(valid))
        for segmenter in self.segmenters:
            folded = segmenter.same(folded)
        return folded

    def _letters(self, text: str) -> str:
        return _single(text, self._digraphs)

    def _item_letters(self, text: str) -> str:
        return _single(self._letters(text), self._own_digraphs)

    def _plain_word(self, word: str) -> str:
        word = self._letters(word)
        return word.lower() if word.isascii() else next(iter(self._plain.analyze(word)), word)

    def _spaced(self, text: str, of_item: bool) -> str:
        for segmenter in self.segmenters:
            text = segmenter.of_item(text) if of_item else segmenter.inside(text)
        return text


class CatalogueAnalyser:
    """The words of a catalogue in one language or several: an item is read by its own, a query by all of them, and an
    indexed word is the same whichever language it is of. Raises UnknownLanguage."""

    def __init__(self, language: str, *others: str, kana: Collection[str] = ()) -> None:
        codes = (language, *others)
        self.each = tuple(Analyser(code, [other for other in codes if other != code], kana) for code in codes)
        self.main, self.language, self.others = self.each[0], language, others
        self._by_language = {analyser.language: analyser for analyser in self.each}
        self.cuts = bool(self.main.segmenters)  # words that no spaces tell apart
        spoken = {code.split("-")[0] for code in codes} & SPOKEN
        self.is_spoken = bool(spoken)  # words are also typed as they sound
        self.identity = "; ".join(analyser.identity for analyser in self.each)
        self.surface, self.tokens, self.folded = self.main.surface, self.main.tokens, self.main.folded
        self.stem = self.main.stem

    def of(self, language: str) -> Analyser:
        """Of an item, by the language that it is told to be in."""
        return self._by_language.get(language, self.main)

    def stems(self, word: str) -> tuple[str, ...]:
        """The indexed words that a word may be, distinct: that of the main language first."""
        return tuple(dict.fromkeys(analyser.stem(word) for analyser in self.each))

    def in_order(self, text: str) -> list[tuple[str, ...]]:
        """The indexed words of a text as they stand in an item that has it, in each language; distinct."""
        return list(dict.fromkeys(tuple(analyser.in_order(text)) for analyser in self.each))

    def indexer(self) -> tantivy.TextAnalyzer:
        """What the index makes of `indexed`: of one language, its stems; of several, the words as they are."""
        return (
            self.main.stems if not self.others else tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        )

    def indexed(self, texts: Iterable[str], language: str) -> list[str]:
        """What of an item's texts goes into the index."""
        return [" ".join(self.of(language).stems.analyze(text)) for text in texts] if self.others else list(texts)


def _single(text: str, digraphs: re.Pattern[str] | None) -> str:
    return digraphs.sub(lambda match: match[0][0], text) if digraphs else text


def fold_word(word: str) -> str:
    """One word as the words of a query are written: in lower case and without accents."""
    return next(iter(_word_filters("").analyze(word)), word)


@cache
def _word_filters(stemmer: str, marked: bool = False) -> tantivy.TextAnalyzer:
    words = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(WITH_MARKS) if marked else tantivy.Tokenizer.simple())
    words = words.filter(tantivy.Filter.remove_long(MAX_WORD_BYTES)).filter(tantivy.Filter.lowercase())
    words = words.filter(tantivy.Filter.ascii_fold())
    return (words.filter(tantivy.Filter.stemmer(stemmer)) if stemmer else words).build()
