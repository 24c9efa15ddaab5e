"""The category that a query means, told by how near its items lie to the query."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from shopfuse.ranking.channels import CHANNEL_COLUMN
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.again import build_again
from shopfuse.recall.categories import PRIOR_ITEMS, CategoryIndex, build_categories
from shopfuse.recall.channels import channel_scores
from shopfuse.recall.facts.identifiers import build_identifiers
from shopfuse.recall.facts.quantities import build_quantities
from shopfuse.recall.facts.titles import build_titles
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.item_table import build_item_table
from shopfuse.recall.lexical import build_lexical
from shopfuse.recall.popular import build_popular
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.vectors import build_vectors
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import ReleaseError
from tests.recall.shop import build_pair_indexes

NOTEBOOK, BAG, NO_CATEGORY = 7, -3, 0
EACH = 20
DIMENSIONS = 16


def around(centre: int, count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Unit vectors about one axis."""
    vectors = 0.1 * np.random.default_rng(seed).normal(size=(count, DIMENSIONS))
    vectors[:, centre] += 1.0
    unit: np.ndarray[tuple[int, int], np.dtype[np.float32]] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)


VECTORS = np.concatenate([around(0, EACH, 1), around(1, EACH, 2), around(0, 5, 3)])
CODES = np.repeat(np.array([NOTEBOOK, BAG, NO_CATEGORY], np.int32), [EACH, EACH, 5])
EVERY = np.arange(len(CODES), dtype=np.int32)
QUERY = np.eye(DIMENSIONS, dtype=np.float32)[0]  # "laptop": where notebooks lie


@pytest.fixture
def index(tmp_path: Path) -> CategoryIndex:
    build_categories(tmp_path / "categories", CODES, VECTORS)
    return CategoryIndex.open(tmp_path / "categories")


def test_the_items_of_the_category_that_is_meant_have_its_score(index: CategoryIndex) -> None:
    meant = index.score(QUERY, EVERY, float((VECTORS @ QUERY).max()))

    assert meant[CODES == NOTEBOOK].min() > 0.6
    assert meant.max() <= EACH / (EACH + PRIOR_ITEMS) + 1e-6
    assert not meant[CODES != NOTEBOOK].any()


def test_a_query_for_one_item_names_no_category(index: CategoryIndex) -> None:
    aside = QUERY + 0.5 * np.eye(DIMENSIONS, dtype=np.float32)[5]

    assert index.score(aside / np.linalg.norm(aside), EVERY, nearest=1.3).max() == 0.0


def test_a_score_does_not_depend_on_the_order_or_company_of_candidates(index: CategoryIndex) -> None:
    order = np.random.default_rng(0).permutation(EVERY).astype(np.int32)

    np.testing.assert_array_equal(index.score(QUERY, EVERY, 1.0)[order], index.score(QUERY, order, 1.0))
    np.testing.assert_array_equal(index.score(QUERY, EVERY[:3], 1.0), index.score(QUERY, EVERY, 1.0)[:3])


def test_few_items_make_no_sure_category(tmp_path: Path) -> None:
    build_categories(tmp_path, np.array([NOTEBOOK, 0], np.int32), VECTORS[:2])

    assert 0.0 < CategoryIndex.open(tmp_path).score(QUERY, EVERY[:1], 0.9)[0] < 0.1


def test_a_shop_without_categories_has_no_score(tmp_path: Path) -> None:
    build_categories(tmp_path, np.zeros(3, np.int32), VECTORS[:3])
    index = CategoryIndex.open(tmp_path)

    assert index.is_empty and len(index) == 3
    assert index.score(QUERY, EVERY[:3], 1.0).tolist() == [0.0, 0.0, 0.0]
    assert index.score(QUERY, EVERY[:0], 1.0).shape == (0,)


def shop(root: Path, with_categories: bool) -> RecallIndexes:
    layout, count = ReleaseLayout(root), len(CODES)
    kinds = {NOTEBOOK: "ThinkPad notebook", BAG: "laptop bag", NO_CATEGORY: "laptop"}
    items = [CatalogueItem(f"i{row:03d}", kinds[code]) for row, code in enumerate(CODES.tolist())]
    build_item_table(layout.items, items)
    build_lexical(layout.lexical, items)
    build_identifiers(layout.identifiers, items)
    build_quantities(layout.quantities, items)
    build_titles(layout.titles, items, "en")
    build_vectors(layout.semantic, VECTORS)
    build_vectors(layout.behaviour, VECTORS)
    build_categories(layout.categories, CODES if with_categories else np.zeros_like(CODES), VECTORS)
    no_visits = (np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0))
    build_pair_indexes(layout.indexes, no_visits, count)
    build_popular(layout.indexes, np.zeros(count, np.float32))
    build_again(layout.indexes, *np.zeros((3, count), np.float32))
    return RecallIndexes.open(layout)


def test_an_item_of_the_meant_category_covers_the_query_in_other_words(tmp_path: Path) -> None:
    indexes = shop(tmp_path, with_categories=True)
    scores, mask = channel_scores(indexes, EVERY, RecallQuery("laptop", QUERY))
    category, coverage = (scores[:, CHANNEL_COLUMN[name]] for name in ("category", "coverage"))

    assert mask[:, CHANNEL_COLUMN["category"]].all()
    np.testing.assert_array_equal(coverage[CODES == NOTEBOOK], category[CODES == NOTEBOOK])
    assert (coverage[CODES != NOTEBOOK] == 1.0).all()  # by the word itself


@pytest.mark.parametrize(
    ("query", "with_categories"),
    [(RecallQuery("laptop"), True), (RecallQuery("", QUERY), True), (RecallQuery("laptop", QUERY), False)],
)
def test_without_words_meaning_or_categories_there_is_no_score(
    tmp_path: Path, query: RecallQuery, with_categories: bool
) -> None:
    scores, mask = channel_scores(shop(tmp_path, with_categories), EVERY, query)

    assert not mask[:, CHANNEL_COLUMN["category"]].any() and not scores[:, CHANNEL_COLUMN["category"]].any()


@pytest.mark.parametrize("name", ["codes.npy", "prototypes.npy", "sizes.npy"])
def test_a_damaged_index_is_named(tmp_path: Path, name: str) -> None:
    for folder, codes in (("one", CODES), ("other", CODES[:25])):
        build_categories(tmp_path / folder, codes, VECTORS[: len(codes)])
    if name == "codes.npy":
        np.save(tmp_path / "one" / name, np.full(45, 9, np.int32))
    elif name == "sizes.npy":
        np.save(tmp_path / "one" / name, np.ones(1, np.int32))
    else:
        shutil.copy(tmp_path / "one" / "codes.npy", tmp_path / "one" / name)

    with pytest.raises(ReleaseError, match=str(tmp_path / "one")):
        CategoryIndex.open(tmp_path / "one")
