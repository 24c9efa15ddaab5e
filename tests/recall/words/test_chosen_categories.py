"""What shoppers chose after a query says which category it means, the more of them the better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.categories import EVIDENCE, CategoryIndex, build_categories
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.words.chosen_categories import Choices, ChosenCategories, build_chosen_categories
from shopfuse.recall.words.query_reading import NO_WORDS
from shopfuse.release.manifest import ReleaseError

# Items 0 and 1 are phones, 2 and 3 cases; item 4 has no category.
CODES = np.array([5, 5, -9, -9, 0], np.int32)
PHONE, CASE = 1, 0  # rows of the index: codes ascending
PHONE_ROWS, CASE_ROWS = [0, 1], [2, 3]
EVERY = np.arange(5, dtype=np.int32)
VECTORS = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2]]
APPLE, OTHER = 2**63 + 11, 7  # keys


def choices(*pairs: tuple[int, int]) -> Choices:
    return np.array([key for key, _ in pairs], np.uint64), np.array([row for _, row in pairs], np.int32)


def after(index: ChosenCategories, key: int) -> tuple[list[float], int]:
    shares, count = index.after(key, np.array([CASE, PHONE], np.int32))
    return shares.tolist(), count


def index_of(folder: Path, log: Choices) -> CategoryIndex:
    build_categories(folder, CODES, VECTORS, log)
    return CategoryIndex.open(folder)


def test_choices_are_counted_by_query_and_category(tmp_path: Path) -> None:
    log = choices((APPLE, 0), (APPLE, 1), (APPLE, 0), (APPLE, 3), (OTHER, 2), (APPLE, 4), (NO_WORDS, 0))
    chosen = index_of(tmp_path, log).chosen

    shares, count = after(chosen, APPLE)
    assert shares == pytest.approx([1 / 3, 1.0]) and count == 4
    assert after(chosen, OTHER) == ([1.0, 0.0], 1)
    for unasked in (NO_WORDS, 1, 8, 2**64 - 1):
        assert after(chosen, unasked) == ([0.0, 0.0], 0)


@pytest.mark.parametrize("seed", range(3))
def test_any_choices_give_the_counts_that_a_loop_gives(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys, rows = rng.integers(0, 40, 500).astype(np.uint64), rng.integers(0, 200, 500).astype(np.int32)
    categories = rng.integers(-1, 30, 200).astype(np.int32)
    build_chosen_categories(tmp_path, (keys, rows), categories)
    chosen, every = ChosenCategories.open(tmp_path), np.arange(30, dtype=np.int32)

    for key in range(1, 45):
        counts = [int(((keys == key) & (categories[rows] == category)).sum()) for category in every]
        shares, total = chosen.after(key, every)
        assert total == sum(counts)
        np.testing.assert_allclose(shares, np.array(counts) / max(*counts, 1), rtol=1e-6)


def test_many_choices_outweigh_what_the_text_says_and_few_do_not(tmp_path: Path) -> None:
    query: NDArray[np.float32] = VECTORS[2]  # by its text a case
    few = index_of(tmp_path / "few", choices((APPLE, 0)))
    many = index_of(tmp_path / "many", choices(*[(APPLE, row % 2) for row in range(90)]))

    named = few.score(query, EVERY, 1.0)
    assert named[CASE_ROWS].min() > 0.1 and not named[PHONE_ROWS].any()
    assert few.score(query, EVERY, 1.0, APPLE)[0] < few.score(query, EVERY, 1.0, APPLE)[2]
    meant = many.score(query, EVERY, 1.0, APPLE)
    assert meant[PHONE_ROWS] == pytest.approx([90 / (90 + EVIDENCE)] * 2)
    assert meant[CASE_ROWS] == pytest.approx(named[CASE_ROWS] * EVIDENCE / (90 + EVIDENCE))
    assert meant[4] == 0.0
    np.testing.assert_array_equal(many.without_choices().score(query, EVERY, 1.0, APPLE), named)


def test_a_query_has_one_key_in_any_order_spelling_and_number(tmp_path: Path) -> None:
    build_lexical(tmp_path / "lexical", [CatalogueItem(f"i{n}", "Wireless gaming mouse") for n in range(3)])
    read = LexicalIndex.open(tmp_path / "lexical").read

    assert len({read(query).key for query in ("wireless mouse", "Mouse, wireless", "wirelss mouse")}) == 1
    assert len({read(query).key for query in ("mouse", "wireless", "mouse wireless gaming")}) == 3
    assert read("?!").key == NO_WORDS


@pytest.mark.parametrize("name", ["keys", "indptr", "categories", "counts"])
def test_a_damaged_index_of_choices_is_named(tmp_path: Path, name: str) -> None:
    index_of(tmp_path, choices((APPLE, 0), (OTHER, 2)))
    path = tmp_path / f"chosen_{name}.npy"
    np.save(path, np.load(path)[:-1])

    with pytest.raises(ReleaseError, match=f"{tmp_path}/chosen_"):
        CategoryIndex.open(tmp_path)
