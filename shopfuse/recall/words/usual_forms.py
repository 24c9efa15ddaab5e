"""How a catalogue usually writes a word: titles say "laptop" where queries say "laptops".

The lexical channel compares stems and needs none of this. A text encoder reads the letters, and may place the plural
elsewhere: beside bags for laptops. Learned from the catalogue, in whatever language its stems are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from shopfuse.recall.words.spelling import MAX_WORDS
from shopfuse.recall.words.word_files import read_words, write_words

FILE = "usual_forms.json"

UsualForms = dict[str, str]  # stem -> the word of that stem which most items hold


def usual_forms(items_with: Mapping[str, int], stem: Callable[[str], str]) -> UsualForms:
    """Of the most frequent words, given in how many items each word of the catalogue occurs."""
    words = (word for word in items_with if word.isalpha())
    frequent = sorted(words, key=lambda word: (-items_with[word], word))[:MAX_WORDS]
    return {stem(word): word for word in reversed(frequent)}


def write_usual_forms(folder: Path, forms: UsualForms) -> None:
    write_words(folder / FILE, forms)


def read_usual_forms(folder: Path) -> UsualForms:
    """Raises ReleaseError naming the file where it is missing or damaged."""
    return read_words(
        folder / FILE,
        "the usual forms of a catalogue's words",
        lambda content: {str(stem): str(word) for stem, word in content.items()},
    )
