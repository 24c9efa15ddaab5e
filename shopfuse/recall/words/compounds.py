"""Words that a catalogue writes both apart and together: "smart watch" and "smartwatch".

Learned from the titles: two neighbours whose joint form is a word of the catalogue as well. No dictionary is needed,
and "car pet" is no carpet unless the shop writes it so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from shopfuse.recall.words.json_files import read_words, write_words

FILE = "compounds.json"
MIN_PART = 3  # letters: "usb c" is not one word
MIN_TOGETHER = 2  # titles with the two words side by side
MAX_PAIRS = 2_000_000  # counted at a time; beyond, those seen once are forgotten
MAX_COMPOUNDS = 50_000

Compounds = dict[str, tuple[str, str]]  # joint form -> its two parts


@dataclass(slots=True)
class Vocabulary:
    """Counts words and neighbours while a catalogue goes by."""

    items_with: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, title: Sequence[str], others: Sequence[str]) -> None:
        """The words of one item's title in their order, and those of its other telling fields."""
        self.items_with.update({*title, *others})
        self.pairs.update({pair for pair in pairwise(title) if all(_may_join(word) for word in pair)})
        if len(self.pairs) > MAX_PAIRS:
            self.pairs = Counter({pair: count for pair, count in self.pairs.items() if count > 1})

    def compounds(self) -> Compounds:
        """The most frequent ones first."""
        frequent = (pair for pair, count in self.pairs.most_common() if count >= MIN_TOGETHER)
        both = [(first + second, (first, second)) for first, second in frequent if first + second in self.items_with]
        return dict(list(dict(reversed(both)).items())[::-1][:MAX_COMPOUNDS])


def _may_join(word: str) -> bool:
    return len(word) >= MIN_PART and word.isalpha()


def write_compounds(folder: Path, compounds: Compounds) -> None:
    write_words(folder / FILE, compounds)


def read_compounds(folder: Path) -> Compounds:
    """Raises ReleaseError naming the file where it is missing or damaged."""
    return read_words(
        folder / FILE,
        "the compounds of a catalogue",
        lambda content: {str(joint): (str(first), str(second)) for joint, (first, second) in content.items()},
    )
