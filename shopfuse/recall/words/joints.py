"""Words that are written in one, with a hyphen, or apart: t-shirt, usb c, cat6, "smart watch" and "smartwatch".

Learned from the titles, without a dictionary: a pair is one word where the catalogue writes it together. "car pet" is
no carpet unless the shop writes it so; "iphone 13" stays two words though one seller writes "iPhone13". Items hold the
joint word wherever the pair stands in any writing, and queries ask for it: so every way of typing finds the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from shopfuse.recall.words.json_files import read_words, write_words

FILE = "joints.json"
MIN_PART = 3  # letters of words that the catalogue has joined somewhere: "in put" is no input
MIN_TOGETHER = 2  # titles with such words side by side
MIN_LETTERS = 3  # of the whole, where it has no digit
TOGETHER = 0.1  # of all titles with the pair, those that write it together: below, it is two words
MAX_PAIRS = 2_000_000  # counted at a time; beyond, those seen once are forgotten
MAX_JOINTS = 100_000

_HYPHENS = "-\u2010\u2011"
_WORD = re.compile(r"[^\W_]+")
_LETTERS_AND_DIGITS = re.compile(r"([^\W\d_]+)(\d+)|(\d+)([^\W\d_]+)")
LETTER_NAMES = {"tee": "t", "vee": "v"}  # as shoppers write "t-shirt" and "v-neck"


class Token(NamedTuple):
    """A word of a text in lower case and without accents, where it stands, and what is between it and the one before:
    "-", " ", or "" where that is something else."""

    word: str
    start: int
    end: int
    gap: str


@dataclass(frozen=True, slots=True)
class Joint:
    first: str  # the letters before the joint
    gap: str  # as the catalogue mostly writes it: "", "-" or " "


Joints = dict[str, Joint]  # by the stem of the joint word
Stem = Callable[[str], str]


def tokens(text: str, plain: Callable[[str], str]) -> list[Token]:
    """The words of a text; `plain` gives a word in lower case and without accents."""
    found, end = [], 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        gap = " " if between.isspace() else "-" if between in tuple(_HYPHENS) else ""
        found.append(Token(plain(match[0]), *match.span(), gap))
        end = match.end()
    return found


def letters_and_digits(word: str) -> tuple[str, str] | None:
    """The two parts of a word like "cat6" or "4k"."""
    match = _LETTERS_AND_DIGITS.fullmatch(word)
    return None if match is None else (match[1] or match[3], match[2] or match[4])


def _may_join(first: str, second: str) -> bool:
    """Each is letters or a number, and not both are numbers."""
    plain = (first.isalpha() or first.isdigit()) and (second.isalpha() or second.isdigit())
    letters = first.isalpha() and second.isalpha() and len(first) + len(second) >= MIN_LETTERS
    return plain and (letters or first.isdigit() != second.isdigit())


@dataclass(slots=True)
class Pairs:
    """Counts the ways of writing two words while a catalogue goes by."""

    apart: Counter[tuple[str, str]] = field(default_factory=Counter)
    hyphened: Counter[tuple[str, str]] = field(default_factory=Counter)
    solid: Counter[tuple[str, str]] = field(default_factory=Counter)  # letters and digits

    def add(self, title: Iterable[Token]) -> None:
        words = list(title)
        pairs = [(one.word, two.word, two.gap) for one, two in pairwise(words) if _may_join(one.word, two.word)]
        self.apart.update({(first, second) for first, second, gap in pairs if gap == " "})
        self.hyphened.update({(first, second) for first, second, gap in pairs if gap == "-"})
        self.solid.update({parts for token in words if (parts := letters_and_digits(token.word))})
        for counter in (self.apart, self.hyphened, self.solid):
            if len(counter) > MAX_PAIRS:
                for pair in [pair for pair, count in counter.items() if count == 1]:
                    del counter[pair]

    def joints(self, items_with: Counter[str], stem: Stem) -> Joints:
        """The pairs that are one word, the most frequent ones first, given how many items hold each word."""
        pairs = {*self.hyphened, *self.solid, *(pair for pair in self.apart if self._is_compound(pair, items_with))}
        counted = sorted((-sum(ways.values()), pair) for pair in pairs if (ways := self._ways(pair, items_with)))
        joints: Joints = {}
        for _, pair in counted[:MAX_JOINTS]:
            ways = self._ways(pair, items_with)
            joints.setdefault(stem("".join(pair)), Joint(pair[0], max(ways, key=lambda gap: ways[gap])))
        return joints

    def _is_compound(self, pair: tuple[str, str], items_with: Counter[str]) -> bool:
        whole, long = pair[0] + pair[1], min(map(len, pair)) >= MIN_PART
        return long and whole.isalpha() and whole in items_with and self.apart[pair] >= MIN_TOGETHER

    def _ways(self, pair: tuple[str, str], items_with: Counter[str]) -> dict[str, int]:
        """How often it is written in each way, the first of equals preferred; nothing where it is two words."""
        ways = {"": items_with["".join(pair)], "-": self.hyphened[pair], " ": self.apart[pair]}
        together = ways[""] + ways["-"]
        return ways if self._is_compound(pair, items_with) or together >= TOGETHER * sum(ways.values()) else {}


def joined_pairs(words: list[Token], joints: Joints, stem: Stem) -> Iterator[tuple[int, str]]:
    """(place of the first, the joint word) of all neighbours that are one word; no word is in two of them."""
    taken = -1
    for place, (one, two) in enumerate(pairwise(words)):
        first = one.word
        if place > taken and two.gap and _may_join(first, two.word):
            joint = joints.get(stem(first + two.word))
            if joint is None and first in LETTER_NAMES:
                first = LETTER_NAMES[first]
                joint = joints.get(stem(first + two.word))
            if joint is not None and joint.first == first:
                taken = place + 1
                yield place, first + two.word


def further_words(words: list[Token], joints: Joints, stem: Stem) -> list[str]:
    """What else an item is found by: the joint words of pairs, and the parts of words of letters and digits."""
    more = [whole for _, whole in joined_pairs(words, joints, stem)]
    for token in words:
        if parts := letters_and_digits(token.word):
            whole = stem(token.word) in joints
            more += [part for part in parts if not whole or (part.isalpha() and len(part) >= MIN_PART)]
    return more


def joined(text: str, words: list[Token], joints: Joints, stem: Stem, known: Callable[[str], bool]) -> str:
    """A query's text with every pair that is one word written in one, and words like "iphone13" that are two in two
    where both parts are known."""
    pairs = dict(joined_pairs(words, joints, stem))
    parts, last, skipped = [], 0, -1
    for place, token in enumerate(words):
        if place in pairs:
            parts += [text[last : token.start], pairs[place]]
            last, skipped = words[place + 1].end, place + 1
            continue
        two = letters_and_digits(token.word) if place != skipped else None
        if two is not None and stem(token.word) not in joints and all(map(known, two)):
            parts += [text[last : token.start], " ".join(two)]
            last = token.end
        elif place != skipped and token.gap == "-" and _is_spaced(words[place - 1].word, token.word):
            parts += [text[last : words[place - 1].end], " "]
            last = token.start
    return "".join((*parts, text[last:]))


def _is_spaced(first: str, second: str) -> bool:
    """True for "iphone-13": where it is no joint word, the encoder shall read what it reads of "iphone 13"."""
    return _may_join(first, second) and first.isdigit() != second.isdigit()


def parts_of(word: str, joints: Joints, stem: Stem) -> tuple[str, ...]:
    """The parts of a joint word that say something by themselves; none where it is no joint word."""
    joint = joints.get(stem(word))
    if joint is None or not word.startswith(joint.first):
        return ()
    return tuple(part for part in (joint.first, word[len(joint.first) :]) if len(part) >= MIN_PART and part.isalpha())


def usually_written(text: str, joints: Joints, stem: Stem) -> str:
    """A text with its joint words as the catalogue mostly writes them."""

    def written(match: re.Match[str]) -> str:
        word = match[0]
        joint = joints.get(stem(word.lower()))
        if joint is None or not word.lower().startswith(joint.first) or not joint.gap:
            return word
        return f"{word[: len(joint.first)]}{joint.gap}{word[len(joint.first) :]}"

    return _WORD.sub(written, text)


def write_joints(folder: Path, joints: Joints) -> None:
    write_words(folder / FILE, {whole: [joint.first, joint.gap] for whole, joint in joints.items()})


def read_joints(folder: Path) -> Joints:
    """Raises ReleaseError naming the file where it is missing or damaged."""
    return read_words(
        folder / FILE,
        "the joint words of a catalogue",
        lambda content: {str(whole): Joint(str(first), str(gap)) for whole, (first, gap) in content.items()},
    )
