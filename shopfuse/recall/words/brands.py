"""The names that a query says: of brands ("samsung" means what Samsung makes before what fits something of Samsung's),
and of categories.

Learned from the catalogue. A brand that is called like an ordinary word is not believed: most items with that word
would be of other brands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shopfuse.ranking.item import CATEGORY_SEPARATOR
from shopfuse.recall.words.json_files import read_words, write_words

FILE, CATEGORIES = "brands.json", "category_names.json"
MAX_WORDS = 4  # of a name
MAX_BRANDS = 100_000
MIN_SHARE = 0.25  # of the items that hold a name's rarest word, those which are of the brand

Brands = dict[str, tuple[str, ...]]  # words as a query has them -> the names that are written with these words


@dataclass(slots=True)
class BrandNames:
    """Counts the items of each brand while a catalogue goes by."""

    items_of: Counter[str] = field(default_factory=Counter)  # words of the name -> items
    names: dict[str, set[str]] = field(default_factory=dict)

    def add(self, name: str, words: Sequence[str]) -> None:
        """One item's brand, and the surface words of that."""
        if 0 < len(words) <= MAX_WORDS:
            self.items_of[" ".join(words)] += 1
            self.names.setdefault(" ".join(words), set()).add(name)

    def believed(self, items_with: Mapping[str, int]) -> Brands:
        """The names that mean their brand wherever they stand, given how many items hold each word."""

        def share(words: str) -> float:
            return self.items_of[words] / max(min(items_with.get(word, 0) for word in words.split()), 1)

        frequent = [words for words, _ in self.items_of.most_common(MAX_BRANDS) if share(words) >= MIN_SHARE]
        return {words: tuple(sorted(self.names[words])) for words in frequent}


def category_names(paths: Iterable[Sequence[str]], words: Callable[[str], Sequence[str]]) -> Brands:
    """The paths " > " of all levels by the indexed words of each level's own name."""
    names: dict[str, set[str]] = {}
    for levels in {tuple(path[:depth]) for path in paths for depth in range(1, len(path) + 1)}:
        if 0 < len(own := words(levels[-1])) <= MAX_WORDS:
            names.setdefault(" ".join(own), set()).add(CATEGORY_SEPARATOR.join(levels))
    return {own: tuple(sorted(named)) for own, named in names.items()}


def brands_in(words: Sequence[str], brands: Brands) -> tuple[str, ...]:
    """The names of all brands, or the paths of all categories, that a query's words hold."""
    spans = (
        " ".join(words[start:end])
        for start in range(len(words))
        for end in range(start + 1, min(start + MAX_WORDS, len(words)) + 1)
    )
    return tuple(dict.fromkeys(name for span in spans for name in brands.get(span, ())))


def write_brands(folder: Path, brands: Brands, file: str = FILE) -> None:
    write_words(folder / file, brands)


def read_brands(folder: Path, file: str = FILE) -> Brands:
    """Raises ReleaseError naming the file where it is missing or damaged."""
    return read_words(
        folder / file,
        "the names of a catalogue's brands or categories",
        lambda content: {str(words): tuple(str(name) for name in names) for words, names in content.items()},
    )
