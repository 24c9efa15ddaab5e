"""How a catalogue usually writes a word: titles say "laptop" where queries say "laptops".

The lexical channel compares stems and needs none of this. A text encoder reads the letters, and may place the plural
elsewhere: beside bags for laptops. Learned from the catalogue, in whatever language its stems are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from shopfuse.recall.spelling import MAX_WORDS
from shopfuse.release.manifest import ReleaseError

FILE = "usual_forms.json"

UsualForms = dict[str, str]  # stem -> the word of that stem which most items hold


def usual_forms(items_with: Mapping[str, int], stem: Callable[[str], str]) -> UsualForms:
    """Of the most frequent words, given in how many items each word of the catalogue occurs."""
    words = (word for word in items_with if word.isalpha())
    frequent = sorted(words, key=lambda word: (-items_with[word], word))[:MAX_WORDS]
    return {stem(word): word for word in reversed(frequent)}


def write_usual_forms(folder: Path, forms: UsualForms) -> None:
    (folder / FILE).write_text(json.dumps(forms, ensure_ascii=False), encoding="utf-8")


def read_usual_forms(folder: Path) -> UsualForms:
    """Raises ReleaseError naming the file where it is missing or damaged."""
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(stem): str(word) for stem, word in content.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise ReleaseError(f"{path}: not the usual forms of a catalogue's words ({error})") from error
