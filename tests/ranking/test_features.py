"""The feature table: finite, in order, and derived from what lies before the request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.features import (
    CONTEXT_FEATURES,
    FEATURES,
    ITEM_ROW,
    NO_HISTORY,
    Context,
    History,
    candidate_features,
    context_features,
    missing_item_row,
    schema_hash,
    text_code,
)
from shopfuse.ranking.history import history_tensors
from shopfuse.ranking.repeat_features import SPANS
from shopfuse.ranking.repeats import DAY_S
from shopfuse.ranking.user_state import CONSUMES, ENTRY, MAX_HISTORY, UserState, entry_type, pack_user, unpack_user
from tests.memories import memory_of

NOW = 1_780_000_000.0
SCENES = ("campaign", "holiday")


def items(count: int) -> NDArray[np.void]:
    return np.repeat(missing_item_row(), count)


def column(table: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    return table[:, FEATURES.index(name)]


def history_of(rows: list[int], table: NDArray[np.void], events: list[int]) -> History:
    of, kinds, at = np.array(rows, np.int32), np.array(events, np.int64), np.full(len(rows), NOW - 60.0)
    return History(of, of, table[rows], kinds, at, memory_of(of, CONSUMES[kinds], at, NOW))


def test_features_of_unknown_items_are_finite() -> None:
    table = candidate_features(np.array([-1, -1], np.int32), items(2), NO_HISTORY, Context(NOW), SCENES)

    assert table.shape == (2, len(FEATURES))
    assert np.isfinite(table).all()


def test_brand_affinity_is_the_weighted_share_of_the_history() -> None:
    rows = items(3)
    rows["brand"] = [text_code("Acme"), text_code("Other"), 0]
    history = history_of([0, 1], rows, [4, 1])

    table = candidate_features(np.arange(3, dtype=np.int32), rows, history, Context(NOW), SCENES)

    assert column(table, "brand_affinity") == pytest.approx([0.75, 0.25, 0.0], abs=1e-3)
    assert list(column(table, "purchased_before")) == [1.0, 0.0, 0.0]


def test_the_memory_says_how_often_and_how_lately_an_item_and_its_category_were_had() -> None:
    rows = items(5)
    rows["category"], rows["repeat_interval"] = [1, 1, 2, 0, 0], 7 * DAY_S
    bought = [(0, 21), (3, 20), (0, 14), (0, 7), (2, 3)]
    of, at = (np.array(column) for column in zip(*bought, strict=True))
    memory = memory_of(of.astype(np.int32), np.ones(5, np.bool_), NOW - DAY_S * at, NOW, rows["category"])
    history = replace(NO_HISTORY, memory=memory)

    table = candidate_features(np.array([0, 1, 2, 3, 4], np.int32), rows, history, Context(NOW), SCENES)

    assert column(table, "had_times") == pytest.approx(np.log1p([3, 0, 1, 1, 0]))
    assert column(table, "purchased_before").tolist() == [1, 0, 1, 1, 0]
    assert column(table, "had_since") == pytest.approx(np.log(np.array([7, 400, 3, 20, 400]) + 0.5))
    assert column(table, "had_due") == pytest.approx(np.log(np.array([7, 400, 3, 20, 400]) / 7 + 0.02), rel=1e-5)
    assert column(table, "had_interval") == pytest.approx(np.full(5, np.log(7.5)))
    assert column(table, "category_since") == pytest.approx(np.log(np.array([7, 7, 3, 400, 400]) + 0.5))
    assert column(table, "category_had")[0] == column(table, "category_had")[1] > column(table, "category_had")[2] > 0
    assert column(table, "category_had")[3] == 0  # without a category
    for span in SPANS:
        assert column(table, f"had_{span}")[0] > column(table, f"had_{span}")[2] > 0 == column(table, f"had_{span}")[4]
    assert column(table, "repeat_share") == pytest.approx(np.full(5, 0.4))
    assert column(table, "visit_since") == pytest.approx(np.full(5, np.log(3.5)))


def test_events_of_the_future_leave_features_finite() -> None:
    rows = items(2)
    memory = memory_of(np.array([0], np.int32), np.ones(1, np.bool_), np.array([NOW + 9 * DAY_S]), NOW)

    table = candidate_features(
        np.arange(2, dtype=np.int32), rows, replace(NO_HISTORY, memory=memory), Context(NOW), SCENES
    )

    assert np.isfinite(table).all()
    assert column(table, "had_since")[0] == pytest.approx(np.log(0.5))


def test_nan_price_is_unknown_not_zero() -> None:
    rows = items(2)
    rows["price"] = [np.nan, 20.0]

    table = candidate_features(np.arange(2, dtype=np.int32), rows, NO_HISTORY, Context(NOW), SCENES)

    assert list(column(table, "price_known")) == [0.0, 1.0]
    assert column(table, "log_price")[0] == 0.0


def test_scene_lift_is_read_from_the_scene_of_the_request() -> None:
    rows = items(1)
    rows["scene_lift"][0] = [0.5, -0.5, 0, 0]

    lifts = [
        float(
            column(
                candidate_features(np.array([0], np.int32), rows, NO_HISTORY, Context(NOW, scene), SCENES), "scene_lift"
            )[0]
        )
        for scene in ("campaign", "holiday", "", "unheard of")
    ]

    assert lifts == [0.5, -0.5, 0.0, 0.0]


def test_context_features_mark_device_scene_and_surface() -> None:
    values = dict(zip(CONTEXT_FEATURES, context_features(Context(NOW, "holiday", "app", 2), 10, SCENES), strict=True))

    assert values["is_search"] == 1.0
    assert values["device_app"] == 1.0
    assert values["scene_1"] == 1.0
    assert values["scene_0"] == 0.0


def test_schema_hash_changes_with_the_scenes() -> None:
    assert schema_hash(("a",), ("lexical",)) != schema_hash(("b",), ("lexical",))


def test_text_codes_fold_case_and_keep_zero_for_nothing() -> None:
    assert text_code("ACME ") == text_code("acme") > 0
    assert text_code("") == 0


def test_user_round_trips_and_keeps_the_newest_events() -> None:
    entries = np.array([(f"item-{n}".encode(), 1, NOW - n) for n in reversed(range(80))], ENTRY)

    kept = unpack_user(pack_user(UserState.of(entries)))

    assert np.array_equal(kept.entries, entries[-MAX_HISTORY:])
    assert kept.item_ids[-1] == b"item-0"


def test_ids_are_as_wide_as_they_need_and_join_with_wider_ones() -> None:
    state = UserState.of(np.array([("\u00e4/\u00f6 1".encode(), 4, NOW - 9)], ENTRY))

    narrow = unpack_user(pack_user(state))
    wider = unpack_user(pack_user(narrow.after(b"x" * 128, 4, NOW)))

    assert narrow.item_ids.dtype.itemsize == 7
    assert wider.item_ids.tolist() == ["\u00e4/\u00f6 1".encode(), b"x" * 128]
    assert wider.repeated.tolist() == [b"x" * 128, "\u00e4/\u00f6 1".encode()]


def test_a_user_of_an_older_store_is_read() -> None:
    state = UserState.of(np.array([(b"item-1", 1, NOW), (b"item-2", 4, NOW)], entry_type(64)))
    count = np.array(2, "<u2")
    parts = (count, state.visits, state.entries, state.repeated, state.repeats)

    older = unpack_user(b"\x02" + b"".join(part.tobytes() for part in parts))

    assert older.item_ids.tolist() == [b"item-1", b"item-2"]
    assert pack_user(older) == pack_user(state)


def test_a_damaged_user_row_is_refused() -> None:
    whole = pack_user(UserState.of(np.array([(b"item-1", 1, NOW), (b"item-2", 4, NOW)], ENTRY)))

    for damaged in (b"", b"\x01abc", b"\x03", b"\x03\x06\x09\x00", whole[:-1], whole + b"x", b"\x01" + whole[1:]):
        with pytest.raises(ShopfuseError, match="user row"):
            unpack_user(damaged)


def test_history_tensors_are_of_variants_put_the_newest_event_last_and_mask_unknown_items() -> None:
    product, of = np.array([0, -1, 0], np.int32), np.array([2, -1, 0], np.int32)
    history = History(product, of, items(3), np.array([1, 1, 4]), np.array([NOW - 7200, NOW - 50, NOW - 3600]))
    vectors = np.arange(1, 4, dtype=np.float16).repeat(128).reshape(3, 128)

    tensors = history_tensors(history, vectors, NOW)

    assert tensors["history_mask"].sum() == 2
    assert tensors["history_events"][-1] == 4
    assert tensors["history_gaps"][-1] == pytest.approx(np.log1p(1.0))
    assert tensors["history_mask"][-3] == 0
    assert tensors["history_vectors"][-2:, 0].tolist() == [3.0, 1.0]  # of rows 2 and 0
    assert not tensors["history_vectors"][:-2].any()


def test_item_row_has_a_fixed_width() -> None:
    assert ITEM_ROW.itemsize == missing_item_row().nbytes
