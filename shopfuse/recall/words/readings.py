"""Chinese words by how they sound: "shoujike", "shouji ke" and "shou ji ke" are read as 手机壳.

Learned from the catalogue: the pinyin, without tones, of its words and of neighbouring ones. A build writes them down,
so that whoever serves the index needs no dictionary. Only words that no item holds are looked up: an item's own Latin
words come first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shopfuse.recall.words.json_files import read_words, write_words
from shopfuse.recall.words.segmentation import han_runs, is_han

FILE = "readings.json"
WORDS = 4  # neighbours that are read in one
SYLLABLES = 8  # that a reading is typed in, at most
MIN_LETTERS = 3  # of a reading
MAX_READINGS = 200_000
_LATIN = re.compile(r"[a-z]+")

Readings = Mapping[str, str]  # pinyin -> the words of the catalogue that sound so, which most titles have


@dataclass(slots=True)
class Spoken:
    """Counts words and neighbouring words while a catalogue goes by."""

    cut: Callable[[str], str]
    titles: Counter[str] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        found = set[str]()
        for run in han_runs(text):
            words = [word for word in self.cut(run).split() if is_han(word)]
            for start in range(len(words)):
                found.update("".join(words[start:end]) for end in range(start + 1, min(start + WORDS, len(words)) + 1))
        self.titles.update(found)

    def readings(self) -> dict[str, str]:
        from pypinyin import lazy_pinyin  # takes 0.15 s, in builds of shops in Chinese only

        readings: dict[str, str] = {}
        for words, _ in sorted(self.titles.items(), key=lambda counted: (-counted[1], counted[0]))[:MAX_READINGS]:
            readings.setdefault("".join(lazy_pinyin(words)), words)
        return {pinyin: words for pinyin, words in readings.items() if len(pinyin) >= MIN_LETTERS and pinyin.isascii()}


def spoken(words: Sequence[str], readings: Readings, known: Callable[[str], bool]) -> dict[tuple[str, ...], str]:
    """The Latin words of a query that stand for Chinese ones, with these: the longest runs that the catalogue has, each
    with a word that is not `known` to the catalogue or to English: "men" and "pan" are words."""
    found: dict[tuple[str, ...], str] = {}
    start = 0
    while readings and start < len(words):
        for end in range(min(start + SYLLABLES, len(words)), start, -1):
            run = tuple(words[start:end])
            meant = readings.get("".join(run)) if all(map(_LATIN.fullmatch, run)) else None
            if meant is not None and not all(map(known, run)):
                found[run] = meant
                start = end - 1
                break
        start += 1
    return found


def write_readings(folder: Path, readings: Readings) -> None:
    write_words(folder / FILE, dict(readings))


def read_readings(folder: Path) -> Readings:
    """Raises ReleaseError naming the file where it is missing or damaged."""
    return read_words(
        folder / FILE,
        "how a catalogue's words sound",
        lambda content: {str(pinyin): str(words) for pinyin, words in content.items()},
    )
