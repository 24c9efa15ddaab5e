"""A few items, completed as a release would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.completion.entries import CompletionEntries, Searched
from shopfuse.recall.completion.folding import folded_words
from shopfuse.recall.completion.index import CompletionIndex, write_completions
from shopfuse.recall.words.analysis import Analyser
from shopfuse.recall.words.spelling import Spelling, build_spelling


def item(
    number: int, title: str, category: str = "", brand: str | None = None, available: bool = True
) -> CatalogueItem:
    path = tuple(category.split(" > ")) if category else ()
    return CatalogueItem(f"item-{number:04d}", title, brand=brand, category=path, available=available)


def titled(*titles: str, category: str = "", brand: str | None = None) -> list[CatalogueItem]:
    return [item(number, title, category, brand) for number, title in enumerate(titles)]


def completions(
    folder: Path,
    items: Sequence[CatalogueItem],
    popular: Sequence[float] = (),
    searched: Sequence[Searched] = (),
    users: Collection[str] = (),
    language: str = "en",
) -> CompletionIndex:
    """Of items that are equally popular unless `popular` says more."""
    entries = CompletionEntries(language)
    for one, popularity in zip(items, popular or [1.0] * len(items), strict=True):
        entries.add(one, popularity)
    build_spelling(folder / "spelling", Counter(word for one in items for word in folded_words(one.title)))
    found = entries.entries(searched, users, Spelling.open(folder / "spelling"))
    write_completions(folder / "completion", found, Analyser(language).stem)
    return CompletionIndex.open(folder / "completion")


def texts(index: CompletionIndex, typed: str, k: int = 8, kinds: str = "qcb") -> list[str]:
    return [one.text for one in index.complete(typed, k, tuple(kinds))]
