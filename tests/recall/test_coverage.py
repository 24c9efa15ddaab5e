"""Coverage: the idf-weighted share of a query's words that an item holds, in any field."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.lexical import LexicalIndex, build_lexical


def item(number: int, title: str, description: str = "") -> CatalogueItem:
    return CatalogueItem(f"i{number}", title, description, None, (), None, None, (("sold", "yes"),), None, True, None)


@pytest.fixture
def index(tmp_path: Path) -> LexicalIndex:
    titles = ["red shoe", "red hat", "blue shoe", "green scarf"]
    build_lexical(tmp_path / "lexical", [item(n, title, "running" * (n == 2)) for n, title in enumerate(titles)])
    return LexicalIndex.open(tmp_path / "lexical")


def idf(documents: int) -> float:
    return math.log1p((4 - documents + 0.5) / (documents + 0.5))


def test_coverage_is_the_share_of_the_words_weighted_by_rarity(index: LexicalIndex) -> None:
    rows = np.arange(4, dtype=np.int32)

    coverage = index.coverage("running shoes", rows)

    shoe, running = idf(2), idf(1)
    expected = [shoe / (shoe + running), 0.0, 1.0, 0.0]
    np.testing.assert_allclose(coverage, expected, atol=1e-6)


def test_an_unknown_word_lowers_what_can_be_covered(index: LexicalIndex) -> None:
    assert index.coverage("red zzz", np.array([0], np.int32))[0] < 0.5


def test_yes_and_no_are_not_indexed(index: LexicalIndex) -> None:
    assert index.coverage("yes", np.array([0], np.int32))[0] == 0.0


def test_a_query_without_words_covers_nothing(index: LexicalIndex) -> None:
    assert index.coverage("!!", np.arange(4, dtype=np.int32)).tolist() == [0, 0, 0, 0]
