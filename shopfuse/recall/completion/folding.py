"""Texts as completion compares them: words in lower case and without accents, never as they are shown.

Unlike the words of the lexical index they keep their forms, and measures stay as they are typed: an unfinished word has
no stem, and "15 in" is not yet a measure.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import tantivy

from shopfuse.ranking.languages import language_of
from shopfuse.recall.words.segmentation import Segmenter

# Languages whose list of stop words tantivy brings along.
STOPPED = frozenset(
    (
        *("danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian", "norwegian"),
        *("portuguese", "russian", "spanish", "swedish"),
    )
)
_WORD = re.compile(r"\S+")
JOINS = frozenset("&+")  # stand between two words without parting them: "salt & pepper"


@cache
def _words() -> tantivy.TextAnalyzer:
    words = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    return words.filter(tantivy.Filter.lowercase()).filter(tantivy.Filter.ascii_fold()).build()


def folded_words(text: str) -> list[str]:
    """The words of a text, folded: "T-Shirt Café" is t, shirt, cafe."""
    plain = unicodedata.normalize("NFKC", text.encode(errors="replace").decode())  # lone surrogates are no UTF-8
    words: list[str] = _words().analyze(plain)
    return words


def folded_key(text: str) -> str:
    """The words with one space after each, so that a word is told from the beginning of a longer one; "" for none."""
    return "".join(f"{word} " for word in folded_words(text))


def folded_prefix(typed: str) -> str:
    """What keys begin with that go on from `typed`: its last word is whole where something follows it."""
    key = folded_key(typed)
    return key if not typed[-1:].isalnum() else key[:-1]


def runs_of_words(title: str, segmenter: Segmenter | None) -> list[list[str]]:
    """The words of a title as they are shown, in lower case, parted where punctuation parts them. The first letter says
    how a word is joined to the one before: a space, or none where a language has none and a `segmenter` cuts them."""
    runs: list[list[str]] = [[]]
    for match in _WORD.finditer(unicodedata.normalize("NFKC", title).lower()):
        word = _trimmed(match[0])
        if (not word and match[0] not in JOINS) or (word and not match[0].startswith(word)):
            runs.append([])
        runs[-1] += _joined(word or match[0], segmenter) if word or match[0] in JOINS else []
        if word and not match[0].endswith(word):
            runs.append([])
    return [run for run in runs if run]


def _trimmed(word: str) -> str:
    """Without the punctuation around it; vowel signs, which are no letters, stay."""
    if word.isalnum():
        return word
    held = [place for place, char in enumerate(word) if char.isalnum() or unicodedata.category(char)[0] == "M"]
    return word[held[0] : held[-1] + 1] if held else ""


def _joined(word: str, segmenter: Segmenter | None) -> list[str]:
    if segmenter is None or word.isascii():
        return [f" {word}"]
    first, *others = segmenter.in_order(word).split()
    return [f" {first}", *(f"\0{other}" for other in others)]


def text_of(words: list[str]) -> str:
    """The text that a run's words make."""
    return "".join(words).replace("\0", "").strip()


def is_filler(word: str, language: str) -> bool:
    """True for a word that says nothing at an end of a phrase: "for", "mit", "&"."""
    return not _fillers(language).analyze(word) if any(map(str.isalnum, word)) else True


@cache
def _fillers(language: str) -> tantivy.TextAnalyzer:
    words = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).filter(tantivy.Filter.lowercase())
    name = language_of(language).stemmer
    return (words.filter(tantivy.Filter.stopword(name)) if name in STOPPED else words).build()
