"""Product groups in recall: distinct products whatever floods a channel, against plain Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shopfuse.ranking.repeats import DAY_S, REPEAT, added_up, remember
from shopfuse.recall.channels import merge
from shopfuse.recall.co_visit import build_co_visit
from shopfuse.recall.groups import NO_GROUPS, Groups, group_codes
from shopfuse.recall.hits import Hits, best
from shopfuse.recall.pairs import PairIndex
from shopfuse.recall.selection import Selection

IDS = st.lists(st.sampled_from((None, None, "a", "b", "c")), min_size=1, max_size=60)


def ranked(scores: NDArray[np.float32], k: int, selection: Selection | None) -> Hits:
    rows = np.arange(len(scores)) if selection is None else selection.rows
    return best(rows, scores[rows], k)


def test_a_group_is_named_by_its_lowest_row() -> None:
    assert group_codes([None, "b", "a", "b", None, "a"]).tolist() == [0, 1, 2, 1, 4, 2]


@settings(max_examples=200, deadline=None)
@given(ids=IDS, seed=st.integers(0, 99), k=st.integers(1, 8), data=st.data())
def test_a_search_finds_the_best_row_of_each_of_the_best_groups(
    ids: list[str | None], seed: int, k: int, data: st.DataObject
) -> None:
    codes = group_codes(ids)
    scores = np.random.default_rng(seed).integers(0, 9, len(ids)).astype(np.float32)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids))))
    selection = data.draw(st.sampled_from((None, Selection(mask))))
    found = Groups.of(codes).search(lambda limit, among: ranked(scores, limit, among), k, selection)

    firsts: dict[int, int] = {}
    for row in ranked(scores, len(ids), selection).rows.tolist():
        firsts.setdefault(int(codes[row]), row)
    assert [int(scores[row]) for row in found.rows] == [int(scores[row]) for row in list(firsts.values())[:k]]
    assert len({int(codes[row]) for row in found.rows}) == len(found.rows) == min(k, len(firsts))


def test_one_product_of_a_thousand_variants_leaves_room_for_the_others() -> None:
    codes = np.concatenate([np.zeros(1000, np.int32), np.arange(1000, 1300, dtype=np.int32)])
    scores = np.linspace(1, 0, 1300).astype(np.float32)
    asked = []

    def search(limit: int, among: Selection | None) -> Hits:
        asked.append(limit)
        return ranked(scores, limit, among)

    found = Groups.of(codes).search(search, 200, None)

    assert found.rows.tolist() == [0, *range(1000, 1199)]
    assert len(asked) == 2


@settings(max_examples=100, deadline=None)
@given(ids=IDS, data=st.data())
def test_groups_count_find_and_stand_in_as_plain_python_does(ids: list[str | None], data: st.DataObject) -> None:
    codes = group_codes(ids)
    groups = Groups.of(codes)
    rows = np.array(data.draw(st.lists(st.integers(0, len(ids) - 1), unique=True, max_size=len(ids))), np.int32)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids))))
    distinct = np.unique(codes[rows])

    assert groups.count(rows) == len(distinct)
    assert rows[groups.once(rows)].tolist() == [
        row for at, row in enumerate(rows) if codes[row] not in codes[rows[:at]]
    ]
    expected = [next((row for row in range(len(ids)) if codes[row] == code and mask[row]), -1) for code in distinct]
    assert groups.selected(distinct.astype(np.int32), mask).tolist() == expected
    variants, place = groups.variants(rows)
    for at, row in enumerate(rows):
        alone = np.count_nonzero(codes == codes[row]) == 1
        assert variants[place == at].tolist() == ([] if alone else np.flatnonzero(codes == codes[row]).tolist())


def test_variants_that_different_channels_bring_add_up() -> None:
    groups = Groups.of(np.array([0, 1, 2, 2, 4], np.int32))
    parts = {
        name: Hits(np.array(rows, np.int32), np.linspace(1, 0.5, len(rows)).astype(np.float32))
        for name, rows in {"a": [0, 2, 1], "b": [4, 3, 1]}.items()
    }

    assert merge(parts, 10, groups).tolist() == [2, 3, 1, 0, 4]
    assert merge(parts, 10, NO_GROUPS).tolist() == [1, 0, 4, 2, 3]


def test_what_was_had_in_several_variants_adds_up() -> None:
    """As if all of it had happened to one item, where occasions do not overlap."""
    at = np.array([1.0, 3.0, 8.0, 20.0, 33.0]) * DAY_S
    bought = np.array([False, True, True, False, True])
    variants = np.array([4, 9, 4, 7, 9])
    apart_rows, apart = remember(variants, bought, at)
    together_rows, together = remember(np.where(variants == 7, 7, 4), bought, at)

    rows, repeats = added_up(np.where(apart_rows == 7, 7, 4), apart)

    assert rows.tolist() == together_rows.tolist() == [4, 7]
    for name in REPEAT.names or ():
        np.testing.assert_allclose(repeats[name], together[name], rtol=1e-6)


def test_pairs_are_of_products_and_bring_the_variant_that_is_selected(tmp_path: Path) -> None:
    """Rows 1 and 2 are variants of one product, which was seen with row 0 as row 1 alone."""
    groups = Groups.of(np.array([0, 1, 1, 3], np.int32))
    rows = np.append(np.tile([0, 1], 30), np.full(30, 3)).astype(np.int32)
    sessions = np.append(np.repeat(np.arange(30), 2), np.arange(30, 60))
    build_co_visit(tmp_path, (sessions, rows, np.ones(90, np.float32), np.zeros(90)), 4)
    index = PairIndex.open(tmp_path, "co_visit", 0.2)
    history, weight = np.array([0], np.int32), np.ones(1, np.float32)
    without_row_1 = Selection(np.array([True, False, True, True]))

    assert index.search(history, weight, 5, None, groups).rows.tolist() == [1]
    assert index.search(history, weight, 5, without_row_1, groups).rows.tolist() == [2]
    assert index.search(history, weight, 5, without_row_1).rows.tolist() == []
