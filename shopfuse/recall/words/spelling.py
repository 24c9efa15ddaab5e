"""Corrects a word that no item holds to the frequent catalogue word that was probably meant.

Words that differ by few edits have a shortened form in common (symmetric deletes, Garbe 2012): those forms are hashed
and sorted once, so a look-up reads a few pages of a mapped file whatever the size of the vocabulary. It knows no
language, no sounds and no context: a wrong correction is worse than none, hence the narrow bounds.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.words.json_files import read_words, write_words
from shopfuse.release.manifest import ReleaseError

MIN_ITEMS = 2  # that hold a word, before it is something to correct to
MAX_WORDS = 200_000  # the most frequent ones; their shortened forms take about 50 MB
MIN_LENGTH = 4  # shorter words are near too many others
TWO_EDITS = 8  # letters from which two edits are still closer to one word than to others
MAX_LENGTH = 24


@dataclass(frozen=True)
class Spelling:
    words: list[str]  # most frequent first
    hashes: NDArray[np.uint32]  # of shortened forms, ascending
    places: NDArray[np.uint32]  # the word of each form

    @classmethod
    def open(cls, folder: Path) -> Spelling:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        words = read_words(folder / "words.json", "a list of words", lambda content: [str(word) for word in content])
        spelling = cls(
            words, open_array(folder / "hashes.npy", np.uint32), open_array(folder / "places.npy", np.uint32)
        )
        if len(spelling.hashes) != len(spelling.places) or (spelling.places >= max(len(words), 1)).any():
            raise ReleaseError(f"{folder}/places.npy: does not fit hashes.npy and words.json")
        return spelling

    @cached_property
    def known(self) -> frozenset[str]:
        """The frequent words of the catalogue that others are corrected to."""
        return frozenset(self.words)

    def correction(self, word: str) -> str | None:
        """The nearest word of the catalogue, the more frequent of equally near ones; None where none is near enough."""
        edits = allowed_edits(word)
        if not edits:
            return None
        near = [self.words[place] for place in sorted(self._places(word, edits))]  # most frequent first
        match = process.extractOne(word, near, scorer=OSA.distance, score_cutoff=edits)  # the first of the nearest
        return match[0] if match else None

    def _places(self, word: str, edits: int) -> set[int]:
        """Of every word that has a shortened form in common with `word`, and of some by chance."""
        forms = np.array(sorted({_hash(form) for form in shortened(word, edits)}), np.uint32)
        first, last = np.searchsorted(self.hashes, forms), np.searchsorted(self.hashes, forms, side="right")
        return {
            int(place) for low, high in zip(first, last, strict=True) if high > low for place in self.places[low:high]
        }


def build_spelling(folder: Path, items_with: Mapping[str, int]) -> None:
    """Writes the words to correct to, told by in how many items each word of the catalogue occurs."""
    chosen = [word for word, count in items_with.items() if count >= MIN_ITEMS and allowed_edits(word)]
    chosen = sorted(chosen, key=lambda word: (-items_with[word], word))[:MAX_WORDS]
    forms = [(_hash(form), place) for place, word in enumerate(chosen) for form in shortened(word, allowed_edits(word))]
    table = np.array(sorted(set(forms)), np.uint32).reshape(-1, 2)
    folder.mkdir(parents=True, exist_ok=True)
    write_words(folder / "words.json", chosen)
    write_array(folder / "hashes.npy", np.ascontiguousarray(table[:, 0]))
    write_array(folder / "places.npy", np.ascontiguousarray(table[:, 1]))


def allowed_edits(word: str) -> int:
    """How many edits a word may be from the one that was meant; 0 for what is not corrected at all. An edit is a letter
    put in, left out or replaced, or two neighbours swapped (optimal string alignment).

    Words with digits are names of models, where one digit is another product; scripts without cases have words too
    short to tell a slip from another word.
    """
    if not (MIN_LENGTH <= len(word) <= MAX_LENGTH and word.isalpha() and word.upper() != word):
        return 0
    return 2 if len(word) >= TWO_EDITS else 1


def shortened(word: str, edits: int) -> set[str]:
    """The word and all forms of it with up to `edits` letters left out."""
    forms = {word}
    for _ in range(edits):
        forms |= {form[:at] + form[at + 1 :] for form in forms for at in range(len(form))}
    return forms


def _hash(form: str) -> int:
    return zlib.crc32(form.encode())
