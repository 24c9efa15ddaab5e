"""The table of channels and the pool of candidates: whatever the table says is searched, merged and scored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNELS, RANK, RECOMMEND, SEARCH, SIMILAR, TABLE, Channel, Surface
from shopfuse.ranking.tensors import MODALITIES
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.channels import applicable_channels, channel_scores, merge, pool, search
from shopfuse.recall.contents import IndexContents
from shopfuse.recall.hits import NO_HITS, Hits, best
from shopfuse.recall.indexes import IndexFile, RecallChannel, RecallIndexes, build_indexes, recall_channels
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.selection import Selection
from shopfuse.recall.vector_channels import query_like
from shopfuse.recall.words.chosen_categories import NO_CHOICES
from shopfuse.release.layout import ReleaseLayout
from tests.recall.shop import make_items, unit_vectors

ITEMS = 600
TEXT, BEHAVIOUR, IMAGES = (unit_vectors(ITEMS, size, seed=size) for size in (24, 16, 12))
QUERY = RecallQuery("red shoe", TEXT[0], BEHAVIOUR[1], np.array([2], np.int32), np.ones(1, np.float32), IMAGES[3])
LAST = np.linspace(0.1, 1.0, ITEMS, dtype=np.float32)


# All there is to a further channel: an index, how it is searched and scored, and a row of the table.
@dataclass(frozen=True, slots=True)
class LastIndex:
    scores: NDArray[np.float32]  # [items]

    def __len__(self) -> int:
        return len(self.scores)

    def search(self, k: int, selection: Selection | None) -> Hits:
        rows = np.arange(len(self)) if selection is None else selection.rows
        return best(rows, self.scores[rows], k)


LAST_INDEX = IndexFile(
    "last",
    lambda layout, shop: write_array(layout.indexes / "last.npy", LAST[: len(shop.popular)]),
    lambda layout: LastIndex(open_array(layout.indexes / "last.npy", np.float32)),
)
LAST_CHANNEL = RecallChannel(
    LAST_INDEX,
    needs=(),
    score=lambda scored: scored.indexes[LAST_INDEX].scores[scored.rows],
    search=lambda indexes, _, k, selection: indexes[LAST_INDEX].search(k, selection),
)
LAST_ROW = Channel("last", "how late in the alphabet", f"{__name__}:LAST_CHANNEL", "behaviour", "max", (RECOMMEND,))


def build(root: Path, table: tuple[Channel, ...]) -> RecallIndexes:
    nothing = np.zeros(0)
    no_visits = (nothing.astype(np.int64), nothing.astype(np.int32), nothing.astype(np.float32), nothing)
    contents = IndexContents(
        items=lambda: make_items(ITEMS),
        languages=("en",),
        categories=np.arange(ITEMS, dtype=np.int32) % 5,
        text_vectors=TEXT,
        image_vectors=IMAGES,
        item_vectors=BEHAVIOUR,
        choices=lambda _: NO_CHOICES,
        sessions=no_visits,
        users=no_visits,
        popular=LAST[::-1].copy(),
        repeat_rates=LAST,
        category_repeat_rates=LAST,
        repeat_intervals_s=LAST,
    )
    layout = ReleaseLayout(root)
    steps = list(build_indexes(layout, contents, table))
    assert steps[-1] == (len(steps), len(steps))
    return RecallIndexes.open(layout, table)


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> RecallIndexes:
    return build(tmp_path_factory.mktemp("release"), (*TABLE, LAST_ROW))


def test_a_row_and_an_index_make_a_channel(indexes: RecallIndexes) -> None:
    without = pool(indexes, QUERY, RECOMMEND, without=frozenset({"last"}))
    rows = pool(indexes, QUERY, RECOMMEND)
    scores, mask = channel_scores(indexes, rows, QUERY)

    assert applicable_channels(indexes, QUERY, RECOMMEND)[-1] == "last"
    assert search(indexes, "last", QUERY, 2).rows.tolist() == [ITEMS - 1, ITEMS - 2]
    assert ITEMS - 1 in rows and ITEMS - 1 not in without
    assert scores.shape == mask.shape == (len(rows), len(TABLE) + 1)
    assert scores[:, -1].tolist() == LAST[rows].tolist() and mask[:, -1].all()


def test_a_further_channel_leaves_the_others_as_they_are(indexes: RecallIndexes, tmp_path: Path) -> None:
    plain, rows = build(tmp_path, TABLE), np.arange(ITEMS, dtype=np.int32)

    for surface in (SEARCH, RECOMMEND, SIMILAR):
        expected = pool(plain, QUERY, surface)
        assert pool(indexes, QUERY, surface, without=frozenset({"last"})).tolist() == expected.tolist()
    for table, before in zip(channel_scores(indexes, rows, QUERY), channel_scores(plain, rows, QUERY), strict=True):
        np.testing.assert_array_equal(table[:, :-1], before)


def test_a_row_that_feeds_without_a_search_is_refused() -> None:
    coverage = replace(TABLE[CHANNELS.index("coverage")], feeds=(SEARCH,))

    with pytest.raises(TypeError, match="coverage"):
        recall_channels((coverage,))


def test_a_row_that_names_no_channel_is_refused() -> None:
    with pytest.raises(TypeError, match="last"):
        recall_channels((replace(LAST_ROW, reader=f"{__name__}:LAST_INDEX"),))


def test_names_are_distinct_and_modalities_known() -> None:
    assert set(Counter(CHANNELS).values()) == {1}
    assert {channel.modality for channel in TABLE} == set(MODALITIES)


@pytest.mark.parametrize(
    ("surface", "names"),
    [
        (SEARCH, ["lexical", "identifier", "semantic", "visual", "behaviour"]),
        (RECOMMEND, ["behaviour", "co_visit", "neighbours", "transitions", "popular", "last"]),
        (SIMILAR, ["semantic", "visual", "behaviour", "co_visit", "neighbours", "transitions", "popular"]),
        (RANK, []),
    ],
)
def test_each_surface_asks_its_channels(indexes: RecallIndexes, surface: Surface, names: list[str]) -> None:
    assert applicable_channels(indexes, QUERY, surface) == names


@pytest.mark.parametrize("surface", [SEARCH, SIMILAR])
def test_what_is_popular_stands_in_for_an_unknown_vector(indexes: RecallIndexes, surface: Surface) -> None:
    stranger = replace(QUERY, behaviour_vector=None)

    assert "popular" in applicable_channels(indexes, stranger, surface)
    assert applicable_channels(indexes, RecallQuery(), RANK) == []


def test_a_query_without_a_channels_needs_does_not_ask_it(indexes: RecallIndexes) -> None:
    for name in applicable_channels(indexes, QUERY, SEARCH):
        less = indexes.channels[name].without(QUERY)

        assert name not in applicable_channels(indexes, less, SEARCH)


def test_an_item_is_most_like_itself(indexes: RecallIndexes) -> None:
    assert pool(indexes, query_like(indexes, 17), SIMILAR)[0] == 17


def hits(*rows: int) -> Hits:
    return Hits(np.array(rows, np.int32), np.linspace(1, 0, len(rows), dtype=np.float32))


def test_rows_that_several_channels_found_come_first() -> None:
    assert merge({"a": hits(1, 2, 3), "b": hits(9, 3)}, 10).tolist() == [3, 1, 9, 2]


def test_each_channel_brings_its_best_rows_into_a_small_pool() -> None:
    rows = merge({"a": hits(*range(100)), "b": hits(*range(200, 300)), "c": hits(400)}, 9)

    assert rows.tolist() == [0, 200, 400, 1, 201, 2, 202, 3, 203]


def test_the_order_of_arrival_does_not_matter() -> None:
    parts = {name: hits(*np.random.default_rng(seed).permutation(50)) for seed, name in enumerate("abcd")}
    backwards = dict(reversed(parts.items()))

    assert merge(parts, 30).tolist() == merge(backwards, 30).tolist()
    assert merge(parts, 30).dtype == np.int32


def test_nothing_found_is_an_empty_pool() -> None:
    assert merge({}, 10).tolist() == []
    assert merge({"a": NO_HITS}, 10).tolist() == []
    assert merge({"a": hits(1)}, 0).tolist() == []
