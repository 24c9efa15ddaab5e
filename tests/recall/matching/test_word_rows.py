"""All rows that hold words: as tantivy counts them, and as plain Python does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.matching.word_rows import WordRows, build_word_rows
from shopfuse.recall.words.query_reading import QueryWord
from shopfuse.release.manifest import ReleaseError
from tests.recall.shop import make_items

ITEMS = make_items(300)
WORDS = ("red", "blue", "small", "shoe", "lamp", "camera", "acm", "kiku", "home", "goe", "nothing")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("lexical") / "index"
    build_lexical(folder, ITEMS)
    return LexicalIndex.open(folder)


@pytest.fixture(scope="module")
def table(index: LexicalIndex, tmp_path_factory: pytest.TempPathFactory) -> WordRows:
    folder = tmp_path_factory.mktemp("words")
    build_word_rows(folder, index)
    return WordRows.open(folder, len(ITEMS))


def word(*forms: str) -> QueryWord:
    return QueryWord(tuple(tuple(form.split()) for form in forms))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join), min_size=1, max_size=2),
        max_size=4,
    )
)
def test_rows_hold_every_word_in_any_of_its_forms(table: WordRows, index: LexicalIndex, forms: list[list[str]]) -> None:
    words = [word(*of_word) for of_word in forms]
    matches = table.matching(words)
    kept = [one for one in words if one not in matches.relaxed]

    holding = {term: set(index.rows_with(term).tolist()) for term in WORDS}
    expected = set(range(len(ITEMS))) if kept else set()
    for one in kept:
        expected &= set.union(*(set.intersection(*(holding[term] for term in form)) for form in one.forms))
    assert matches.rows.tolist() == sorted(expected)
    assert matches.rows.dtype == np.int32
    for one in matches.relaxed:
        both = table.matching([*kept, one])
        assert not kept or one in both.relaxed or len(both.rows) == 0


def test_every_search_hit_that_covers_the_query_is_a_match(table: WordRows, index: LexicalIndex) -> None:
    query = "red lamps"
    hits = index.search(query, len(ITEMS))
    covering = hits.rows[index.coverage(query, hits.rows) > 0.999]

    assert 0 < len(covering) < len(hits)
    assert table.matching(index.read(query).words).rows.tolist() == sorted(covering.tolist())


def test_a_word_that_no_item_holds_is_relaxed(table: WordRows) -> None:
    matches = table.matching([word("nothing"), word("lamp")])

    assert matches.relaxed == (word("nothing"),)
    assert matches.rows.tolist() == table.matching([word("lamp")]).rows.tolist() != []


def test_words_are_relaxed_by_what_passes(table: WordRows) -> None:
    """No red lamp passes: one of the words is done without. Rows that do not pass are listed as well, for facets that
    look beyond the filter."""
    red_lamps, lamps = (table.matching([word(one) for one in words]).rows for words in (("red", "lamp"), ("lamp",)))
    passing = np.ones(len(ITEMS), np.bool_)
    passing[red_lamps] = False

    matches = table.matching([word("red"), word("lamp")], passing)

    assert 0 < len(red_lamps) < len(lamps)
    assert [one.forms[0][0] for one in matches.relaxed] in (["red"], ["lamp"])
    kept = "lamp" if matches.relaxed == (word("red"),) else "red"
    assert matches.rows.tolist() == table.matching([word(kept)]).rows.tolist()
    assert table.matching([word("lamp")], ~table_mask(lamps)).relaxed == ()  # nothing passes: all of them count
    assert (
        table.matching([word("red"), word("lamp")], np.ones(len(ITEMS), np.bool_)).rows.tolist() == red_lamps.tolist()
    )


def table_mask(rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    mask = np.zeros(len(ITEMS), np.bool_)
    mask[rows] = True
    return mask


def test_no_words_match_nothing(table: WordRows) -> None:
    assert table.matching([]).rows.tolist() == []
    assert table.matching([word("nothing")]).rows.tolist() == []


@pytest.mark.parametrize("name", ["word_keys", "word_indptr", "word_rows"])
def test_a_damaged_file_is_named(index: LexicalIndex, tmp_path: Path, name: str) -> None:
    build_word_rows(tmp_path, index)
    path = tmp_path / f"{name}.npy"
    np.save(path, np.load(path)[:-1])

    with pytest.raises(ReleaseError, match=r"word_.*\.npy: "):
        WordRows.open(tmp_path, len(ITEMS))
