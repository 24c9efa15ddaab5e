"""Chinese words by how they sound: "shoujike", "shouji ke" and "shou ji ke" are read as 手机壳, and so is "sjk".

Learned from the catalogue: the pinyin, without tones, of its words and of neighbouring ones, and the first letters of
that. A build writes them down, so that whoever serves the index needs no dictionary. Only words that no item holds are
looked up: an item's own Latin words come first, and first letters are for what nothing else explains.
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
ALIKE = 3
INITIALS = range(2, 7)  # syllables that are typed by their first letters: one letter would be any word
_LATIN = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class Readings:
    """The first two lead to words of the catalogue, those first that most items have."""

    pinyin: Mapping[str, str]
    initials: Mapping[str, tuple[str, ...]]  # many words begin with the same letters: any of ALIKE is meant
    kana: frozenset[str] = frozenset()  # see words/kana.py


NO_READINGS = Readings({}, {})


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

    def readings(self) -> Readings:
        from pypinyin import lazy_pinyin  # takes 0.15 s, in builds of shops in Chinese only

        pinyin: dict[str, str] = {}
        initials: dict[str, tuple[str, ...]] = {}
        for words, _ in sorted(self.titles.items(), key=lambda counted: (-counted[1], counted[0]))[:MAX_READINGS]:
            syllables = lazy_pinyin(words)
            sound, first = "".join(syllables), "".join(syllable[0] for syllable in syllables)
            if not sound.isascii():
                continue
            if len(sound) >= MIN_LETTERS:
                pinyin.setdefault(sound, words)
            if len(syllables) in INITIALS:
                initials[first] = (*initials.get(first, ()), words)[:ALIKE]
        return Readings(pinyin, initials)


def spoken(words: Sequence[str], readings: Readings, known: Callable[[str], bool]) -> dict[tuple[str, ...], str]:
    """The Latin words of a query that stand for Chinese ones, with these: the longest runs that the catalogue has, each
    with a word that is not `known` to the catalogue or to English: "men" and "pan" are words."""
    found: dict[tuple[str, ...], str] = {}
    start = 0
    while readings.pinyin and start < len(words):
        for end in range(min(start + SYLLABLES, len(words)), start, -1):
            run = tuple(words[start:end])
            meant = readings.pinyin.get("".join(run)) if all(map(_LATIN.fullmatch, run)) else None
            if meant is not None and not all(map(known, run)):
                found[run] = meant
                start = end - 1
                break
        start += 1
    return found


def write_readings(folder: Path, readings: Readings) -> None:
    content = {"pinyin": readings.pinyin, "initials": readings.initials, "kana": sorted(readings.kana)}
    write_words(folder / FILE, content)


def read_readings(folder: Path) -> Readings:
    """Raises ReleaseError naming the file where it is missing or damaged."""
    return read_words(
        folder / FILE,
        "how a catalogue's words sound",
        lambda content: Readings(
            {str(sound): str(words) for sound, words in content["pinyin"].items()},
            {str(letters): tuple(map(str, words)) for letters, words in content["initials"].items()},
            frozenset(map(str, content["kana"])),
        ),
    )
