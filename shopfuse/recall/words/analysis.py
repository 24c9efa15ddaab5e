"""How text becomes words: the same for items and for queries of one language.

Text is folded (NFKC, and characters that are told apart by nobody), quantities become single words, scripts without
spaces are cut at their words' bounds, and what remains is done by a tantivy analyser: lower case, no accents or
ligatures, stems. What is folded is for comparing only: nobody is shown it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import cache, lru_cache

import tantivy

from shopfuse.ranking.languages import language_of
from shopfuse.ranking.text import separate_fractions
from shopfuse.recall.words.joints import Token, tokens
from shopfuse.recall.words.segmentation import segmenter_of
from shopfuse.recall.words.units import measures, with_measures

VERSION = 5  # of the rules here and in units.py, and of what an index knows beside them: none of another is searched
MAX_WORD_BYTES = 40
STEMS = 100_000  # remembered: a catalogue repeats its words
WITH_MARKS = r"[\p{L}\p{N}\p{M}]+"  # of scripts whose vowels and tones are marks
MARKED = ("th", "und")
CLAUSES = re.compile(r"[;:!?()\[\]{}|•…\n。、]+|[,.](?!\d)|\s[-–—/]\s")  # noqa: RUF001


class Analyser:
    """The words of texts in one language. `kana`: those that a Japanese query may be cut into (words/kana.py). Raises
    UnknownLanguage."""

    def __init__(self, language: str, kana: Collection[str] = ()) -> None:
        rules = language_of(language)
        self.language = language
        self.segmenter = segmenter_of(language, kana)
        self.compounds = rules.compounds
        self.is_spoken = language.split("-")[0] in ("zh", "ja")  # its words are also typed as they sound
        self._digraphs = re.compile(rf"(?<![aeiouq])(?:{'|'.join(rules.digraphs)})", re.I) if rules.digraphs else None
        marked = language.split("-")[0] in MARKED
        self.stems = _word_filters(rules.stemmer, marked)
        self._plain = _word_filters("", marked)
        self.stem = lru_cache(STEMS)(self._stem)  # the indexed form of one surface word
        cutter = self.segmenter.identity if self.segmenter else "words with marks" if marked else "spaces"
        # Names what decides how words are cut: an index may be searched with the very same only.
        self.identity = f"{language.split('-')[0]}, rules {VERSION}, {cutter}"

    def item_texts(self, text: str, further: Iterable[str] = ()) -> list[str]:
        """What tantivy's analyser gets to read of an item's folded text, and of further words of it: what stands in
        different clauses stands in no phrase."""
        parts = (*CLAUSES.split(text), " ".join([*measures(text), *further]))
        return [self._spaced(self._letters(part), of_item=True) for part in parts if part and not part.isspace()]

    def in_order(self, text: str) -> list[str]:
        """The indexed words of a text as they stand in an item that has it; may repeat."""
        words: list[str] = self.stems.analyze(self._spaced(self._letters(self.folded(text)), of_item=False))
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
        return next(iter(self.stems.analyze(word)), word)

    def folded(self, text: str) -> str:
        valid = text.encode(errors="replace").decode()  # lone surrogates are no UTF-8
        folded = unicodedata.normalize("NFKC", separate_fractions(valid))
        return self.segmenter.same(folded) if self.segmenter else folded

    def _letters(self, text: str) -> str:
        return self._digraphs.sub(lambda match: match[0][0], text) if self._digraphs else text

    def _plain_word(self, word: str) -> str:
        word = self._letters(word)
        return word.lower() if word.isascii() else next(iter(self._plain.analyze(word)), word)

    def _spaced(self, text: str, of_item: bool) -> str:
        if self.segmenter is None:
            return text
        return self.segmenter.of_item(text) if of_item else self.segmenter.inside(text)


def fold_word(word: str) -> str:
    """One word as the words of a query are written: in lower case and without accents."""
    return next(iter(_word_filters("").analyze(word)), word)


@cache
def _word_filters(stemmer: str, marked: bool = False) -> tantivy.TextAnalyzer:
    words = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(WITH_MARKS) if marked else tantivy.Tokenizer.simple())
    words = words.filter(tantivy.Filter.remove_long(MAX_WORD_BYTES)).filter(tantivy.Filter.lowercase())
    words = words.filter(tantivy.Filter.ascii_fold())
    return (words.filter(tantivy.Filter.stemmer(stemmer)) if stemmer else words).build()
