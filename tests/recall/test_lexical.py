"""The lexical channel: scores, ties, filters and hostile queries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.ranking.filter import ItemFilter
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.item_table import ItemTable, build_item_table
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.selection import Selection
from shopfuse.recall.words.query_reading import MAX_WORDS
from shopfuse.release.manifest import ReleaseError
from tests.recall.shop import make_items

ITEMS = make_items(3000)
QUERY = "Red wooden SHOES"
FILTERS = [
    ItemFilter(),
    ItemFilter(brands=("acme",)),
    ItemFilter(brands=("acme", "kiku"), categories=("home > light",), include_unavailable=True),
    ItemFilter(attributes=(("colour", ("red",)), ("size", ("S", "M"))), max_price=30.0),
    ItemFilter(min_price=20.0, max_price=21.0),
    ItemFilter(categories=("Tech > camera",), brands=("Nordlicht",), min_price=60.0),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("lexical")
    build_lexical(folder, ITEMS)
    return LexicalIndex.open(folder)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ItemTable:
    folder = tmp_path_factory.mktemp("items")
    build_item_table(folder, ITEMS)
    return ItemTable.open(folder)


def test_a_rare_word_in_the_title_ranks_first(tmp_path: Path) -> None:
    titles = ("blue shoe", "red shoe", "shoe for a lamp", "zither")
    build_lexical(tmp_path, [CatalogueItem(f"i{row}", title) for row, title in enumerate(titles)])
    index = LexicalIndex.open(tmp_path)

    assert index.search("red shoes", 10).rows[0] == 1
    assert set(index.search("red shoes", 10).rows) == {0, 1, 2}
    assert index.search("ZITHERS", 10).rows.tolist() == [3]


@pytest.mark.parametrize(
    "item",
    [
        CatalogueItem("i", "", brand="Zither"),
        CatalogueItem("i", "", category=("Music", "Zithers")),
        CatalogueItem("i", "", description="a zither"),
        CatalogueItem("i", "", attributes=(("kind", "Zither"),)),
        CatalogueItem("i", "Zíther"),
    ],
)
def test_every_text_of_an_item_is_searched(tmp_path: Path, item: CatalogueItem) -> None:
    build_lexical(tmp_path, [item])

    assert LexicalIndex.open(tmp_path).search("zither", 5).rows.tolist() == [0]


def test_equal_scores_are_in_the_order_of_rows_at_every_k(index: LexicalIndex) -> None:
    everything = index.search(QUERY, len(ITEMS))
    order = np.lexsort((everything.rows, -everything.scores))

    assert len(np.unique(everything.scores)) < len(everything)  # there are ties to break
    assert order.tolist() == list(range(len(everything)))
    for k in (1, 2, 10, 100, 777):
        assert index.search(QUERY, k).rows.tolist() == everything.rows[:k].tolist()


@pytest.mark.parametrize("k", [5, 200])
@pytest.mark.parametrize("wanted", FILTERS)
def test_a_filtered_search_is_the_search_among_the_selected_rows(
    index: LexicalIndex, table: ItemTable, wanted: ItemFilter, k: int
) -> None:
    selection = table.select(wanted, np.array([1, 2, 3], np.int32))
    assert selection is not None
    hits = index.search(QUERY, k, selection)

    everything = index.search(QUERY, len(ITEMS))
    kept = selection.mask[everything.rows]
    assert selection.count > 0
    assert hits.rows.tolist() == everything.rows[kept][:k].tolist()
    np.testing.assert_allclose(hits.scores, everything.scores[kept][:k], rtol=1e-5)


def test_selections_of_any_size_without_a_filter_behind_them_are_exact(index: LexicalIndex) -> None:
    everything = index.search(QUERY, len(ITEMS))
    for count in (1, 100, 257, 500, 2900):
        mask = np.zeros(len(ITEMS), np.bool_)
        mask[np.random.default_rng(count).choice(len(ITEMS), count, replace=False)] = True

        expected = everything.rows[mask[everything.rows]][:50]
        assert index.search(QUERY, 50, Selection(mask)).rows.tolist() == expected.tolist()


def test_a_selection_of_nothing_finds_nothing(index: LexicalIndex) -> None:
    assert len(index.search(QUERY, 10, Selection(np.zeros(len(ITEMS), np.bool_)))) == 0


@pytest.mark.parametrize("count", [300, 2500])
def test_score_gives_the_scores_of_search(index: LexicalIndex, count: int) -> None:
    everything = index.search(QUERY, len(ITEMS))
    expected = np.zeros(len(ITEMS), np.float32)
    expected[everything.rows] = everything.scores
    rows = np.random.default_rng(1).integers(0, len(ITEMS), count).astype(np.int32)  # with repetitions

    np.testing.assert_allclose(index.score(QUERY, rows), expected[rows], rtol=1e-5)
    assert (expected == 0).any()
    assert index.score("zither", rows).tolist() == [0.0] * count
    assert index.score(QUERY, rows[:0]).shape == (0,)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        '"red AND (shoe',
        "title:red^5 -shoe~2 [a TO b] *",
        "🧦🧦 shoe",
        "\x00\ud800shoe",
        "靴 обувь παπούτσι",
        "a" * 10_000,
        "shoe " * 3000,
        " ".join(f"w{number}" for number in range(5000)),
        "\u0301" * 5000,
    ],
)
def test_any_text_is_a_query(index: LexicalIndex, query: str) -> None:
    hits = index.search(query, 10)

    assert np.isfinite(hits.scores).all()
    assert np.isfinite(index.score(query, np.arange(5, dtype=np.int32))).all()


def test_operators_are_ordinary_characters(index: LexicalIndex) -> None:
    plain, dressed = index.search("red shoe", 20), index.search('+"RED" -(shoe)^3', 20)

    assert words_of(index, '+"RED" -(shoe)') == ["red", "shoe"]
    assert dressed.rows.tolist() != []
    assert index.search('"red" (shoe)', 20).rows.tolist() == plain.rows.tolist()


def test_long_queries_are_cut_to_their_first_words(index: LexicalIndex) -> None:
    many = " ".join(f"w{number}" for number in range(50))

    assert words_of(index, many) == [f"w{number}" for number in range(MAX_WORDS)]


def words_of(index: LexicalIndex, query: str) -> list[str]:
    return [word.forms[0][0] for word in index.read(query).words]


def test_opening_and_searching_leave_the_folder_as_it_was(tmp_path: Path) -> None:
    build_lexical(tmp_path, ITEMS[:20])
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    LexicalIndex.open(tmp_path).search(QUERY, 5)

    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not any(name.endswith(".lock") for name in before)


def test_an_empty_catalogue_finds_nothing(tmp_path: Path) -> None:
    build_lexical(tmp_path, [])
    index = LexicalIndex.open(tmp_path)

    assert len(index) == 0
    assert len(index.search("shoe", 5)) == 0


@pytest.mark.parametrize("suffix", ["meta.json", ".idx", ".term", ".fast", ".pos", ".fieldnorm"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_index_is_named(tmp_path: Path, suffix: str, damage: str) -> None:
    build_lexical(tmp_path, ITEMS[:20])
    path = next(path for path in tmp_path.iterdir() if path.name.endswith(suffix))
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(ReleaseError, match=str(tmp_path)):
        LexicalIndex.open(tmp_path)


def test_a_folder_without_an_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="nowhere"):
        LexicalIndex.open(tmp_path / "nowhere")
