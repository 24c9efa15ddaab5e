"""What the text heads learn from: items with a category, reviews with stars; cleaned, bounded, and split.

An item's text is read without its category: the category is the answer. Every rule that leaves an example out is
counted in `left_out`. It encodes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.ranking.item import CATEGORY_SEPARATOR
from shopfuse.ranking.labels import SENTIMENT_LABELS, LabelPath, Labels, classified_text
from shopfuse.ranking.text import item_text

TRAIN, VALIDATION, TEST = 0, 1, 2
VALIDATION_SHARE = TEST_SHARE = 0.15  # of each label
MIN_OF_LABEL = 8  # texts; a rarer category joins its parent, or is left out where it has none
MIN_EXAMPLES = 60
MOST_READ = 200_000  # rows of a larger table, drawn at random
MOST_EXAMPLES = 12_000  # encoded; frequent labels give way first
DESCRIBED_SHARE = 1 / 3  # of the items are read with their description, the others by their title alone
NEUTRAL_FROM, POSITIVE_FROM = 2.5, 3.5  # stars: 1 and 2 are negative, 3 neutral, 4 and 5 positive


@dataclass(frozen=True, slots=True)
class LabelExamples:
    """Texts with their label's number and which part of the data they belong to; arrays [n]."""

    labels: Labels
    texts: list[str]
    label: NDArray[np.int64]
    part: NDArray[np.int8]  # TRAIN, VALIDATION or TEST
    left_out: dict[str, int]  # reason -> texts

    def rows(self, part: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.part == part)

    @property
    def counts(self) -> dict[str, int]:
        return {
            CATEGORY_SEPARATOR.join(self.labels.paths[label]): count
            for label, count in sorted(Counter(self.label).items())
        }


@dataclass(frozen=True, slots=True)
class _Told:
    """One text with what it is labelled as; `same` tells which texts are one and must not be split."""

    text: str
    same: str
    path: LabelPath


def category_examples(items: pl.DataFrame, seed: int) -> LabelExamples | None:
    """From an ITEM_SCHEMA frame; None where too few items have a category, or all the same one."""
    left_out: Counter[str] = Counter()
    told = list(_distinct(_items_told(items, seed, left_out), left_out))
    told = _without_rare(told, left_out)
    paths = tuple(sorted({one.path for one in told}))
    return _examples(told, Labels(paths), seed, left_out) if len(paths) > 1 else None


def sentiment_examples(reviews: pl.DataFrame, seed: int) -> LabelExamples | None:
    """From a REVIEW_SCHEMA frame; None where there are too few reviews of any one sentiment."""
    left_out: Counter[str] = Counter()
    rows = _drawn(reviews.select("text", "rating"), seed)
    labelled = (_Told(classified_text(text), text.casefold(), _sentiment(stars)) for text, stars in rows)
    told = list(_distinct(labelled, left_out))
    counts = Counter(one.path for one in told)
    if any(counts[path] < MIN_OF_LABEL for path in SENTIMENT_LABELS.paths):
        return None
    return _examples(told, SENTIMENT_LABELS, seed, left_out)


def _drawn(table: pl.DataFrame, seed: int) -> list[tuple[Any, ...]]:
    return (table.sample(MOST_READ, seed=seed) if len(table) > MOST_READ else table).rows()


def _sentiment(stars: float) -> LabelPath:
    return SENTIMENT_LABELS.paths[int(stars >= NEUTRAL_FROM) + int(stars >= POSITIVE_FROM)]


def _items_told(items: pl.DataFrame, seed: int, left_out: Counter[str]) -> Iterator[_Told]:
    for title, brand, category, about in _drawn(items.select("title", "brand", "category", "description"), seed):
        path = tuple(category or ())
        if not path:
            left_out["no category"] += 1
        elif not all(any(char.isalpha() for char in level) for level in path):
            left_out["category without a letter"] += 1
        else:
            described = _draw(seed, "described", title) < DESCRIBED_SHARE
            text = item_text(title, brand, (), (about or "") if described else "")
            yield _Told(classified_text(text), title.casefold(), path)


def _distinct(told: Iterable[_Told], left_out: Counter[str]) -> Iterator[_Told]:
    """Each text once, and none that has two labels: a copy on both sides of a split would be answered from memory."""
    groups: dict[str, list[_Told]] = defaultdict(list)
    for one in told:
        groups[one.same].append(one)
    for group in groups.values():
        if len({one.path for one in group}) > 1:
            left_out["same text, different labels"] += len(group)
            continue
        left_out["same text again"] += len(group) - 1
        yield group[0]


def _without_rare(told: list[_Told], left_out: Counter[str]) -> list[_Told]:
    """Rare categories become part of their parents, from the deepest level up."""
    for depth in range(max((len(one.path) for one in told), default=0), 0, -1):
        counts = Counter(one.path for one in told)
        rare = {path for path, count in counts.items() if len(path) == depth and count < MIN_OF_LABEL}
        left_out["category with too few items"] += sum(counts[path] for path in rare if depth == 1)
        told = [
            _Told(o.text, o.same, o.path[:-1]) if o.path in rare else o for o in told if o.path not in rare or depth > 1
        ]
    return told


def _examples(told: list[_Told], labels: Labels, seed: int, left_out: Counter[str]) -> LabelExamples | None:
    """Bounded and split label by label, so that each has its share in every part."""
    number = {path: place for place, path in enumerate(labels.paths)}
    by_label: list[list[_Told]] = [[] for _ in labels.paths]
    for one in told:
        by_label[number[one.path]].append(one)
    most = _most_of_label([len(group) for group in by_label])
    texts, label, part = [], [], []
    for place, group in enumerate(by_label):
        chosen = sorted(group, key=lambda one: _draw(seed, "order", one.same))[:most]
        left_out["beyond the most examples"] += len(group) - len(chosen)
        texts += [one.text for one in chosen]
        label += [place] * len(chosen)
        part += _parts(len(chosen))
    if len(texts) < MIN_EXAMPLES:
        return None
    counted = {reason: count for reason, count in left_out.items() if count}
    return LabelExamples(labels, texts, np.array(label, np.int64), np.array(part, np.int8), counted)


def _most_of_label(counts: list[int]) -> int:
    """The largest number of examples of one label with which all together are at most MOST_EXAMPLES."""
    low, high = 1, max(counts)
    while low < high:
        middle = (low + high + 1) // 2
        fits = sum(min(count, middle) for count in counts) <= MOST_EXAMPLES
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _parts(count: int) -> list[int]:
    """For examples in random order: at least one held out for validation and one for the test."""
    validation, test = (max(1, round(share * count)) for share in (VALIDATION_SHARE, TEST_SHARE))
    return [VALIDATION] * validation + [TEST] * test + [TRAIN] * (count - validation - test)


def _draw(seed: int, purpose: str, text: str) -> float:
    """In [0, 1): the same for the same text, whatever else the catalogue holds."""
    digest = hashlib.blake2b(f"{seed}\0{purpose}\0{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / (1 << 64)
