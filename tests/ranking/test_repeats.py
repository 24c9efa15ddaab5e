"""The memory of a user's items: one definition, whether made at once or event by event, and always bounded."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shopfuse.ranking.repeats import (
    DAY_S,
    HALF_LIVES_S,
    MOST_ITEMS,
    OCCASION_S,
    interval_s,
    remember,
    since_s,
    sums_at,
)
from shopfuse.ranking.user_state import CONSUMES, ENTRY, EVENT_CODES, UNKNOWN_USER, UserState, pack_user, unpack_user
from shopfuse.state.lmdb_store import LmdbStore
from tests.memories import memory_of
from tests.user_states import user_state

NOW = 1_780_000_000.0
STEPS = st.sampled_from([0.0, 1.0, OCCASION_S - 1.0, OCCASION_S, OCCASION_S + 1.0, DAY_S]) | st.floats(0.0, 400 * DAY_S)
EVENTS = st.lists(
    st.tuples(st.sampled_from([b"milk", b"bread", b"tv"]), st.sampled_from(tuple(EVENT_CODES.values())), STEPS),
    max_size=40,
)


def entries_of(events: list[tuple[bytes, int, float]]) -> NDArray[np.void]:
    """Of (item, event, seconds since the event before)."""
    entries = np.array(events, ENTRY)
    entries["at"] = NOW + np.cumsum(entries["at"])
    return entries


def assert_same(actual: UserState, expected: UserState) -> None:
    assert actual.entries.tolist() == expected.entries.tolist()
    assert actual.repeated.tolist() == expected.repeated.tolist()
    for name in expected.repeats.dtype.names or ():
        np.testing.assert_allclose(actual.repeats[name], expected.repeats[name], rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(actual.visits[name], expected.visits[name], rtol=1e-5, err_msg=name)


@settings(max_examples=100, deadline=None)
@given(EVENTS)
def test_made_at_once_is_made_event_by_event(events: list[tuple[bytes, int, float]]) -> None:
    entries = entries_of(events)
    state = UNKNOWN_USER
    for item, event, at in entries.tolist():
        state = unpack_user(pack_user(state.after(item, event, at)))

    assert_same(state, UserState.of(entries))


def test_a_memory_comes_back_from_the_store(tmp_path: Path) -> None:
    state = user_state([("milk", "purchase", NOW + 7 * DAY_S * week) for week in range(9)] + [("tv", "view_item", NOW)])
    with LmdbStore.open(tmp_path / "store.lmdb", readonly=False) as store:
        store.put_users({"ann": state})
        stored = store.users(["ann"])[0]

    assert_same(stored, state)


def test_events_within_half_an_hour_are_one_occasion() -> None:
    moments = (0.0, OCCASION_S - 1.0, 2 * OCCASION_S - 2.0, 4 * OCCASION_S)
    state = user_state([("milk", "purchase", NOW + moment) for moment in moments])

    (repeat,) = state.repeats
    assert (repeat["occasions"], repeat["bought"]) == (2, 2)
    assert (repeat["first_at"], repeat["last_at"]) == (NOW, NOW + 4 * OCCASION_S)


def test_looking_is_an_occasion_and_buying_one_that_counts_for_itself() -> None:
    deeds = ("view_item", "add_to_cart", "purchase")
    state = user_state([("tv", event, NOW + day * DAY_S) for day, event in enumerate(deeds)])

    (repeat,) = state.repeats
    assert (repeat["occasions"], repeat["bought"]) == (3, 1)
    assert repeat["first_bought_at"] == repeat["last_bought_at"] == NOW + 2 * DAY_S


def test_sums_halve_with_each_half_life() -> None:
    _, repeats = remember(np.zeros(1, np.int32), np.zeros(1, np.bool_), np.array([NOW]))

    for column, half_life in enumerate(HALF_LIVES_S):
        assert sums_at(repeats, NOW + 2 * float(half_life))[0, column] == pytest.approx(0.25)


def test_all_events_at_one_second_are_one_occasion() -> None:
    state = user_state([(item, "purchase", NOW) for item in ("milk", "bread", "milk")])

    assert state.repeated.tolist() == [b"bread", b"milk"]
    assert state.repeats["occasions"].tolist() == [1, 1]
    assert np.isfinite(interval_s(state.repeats, np.full(2, DAY_S))).all()


def test_an_event_that_comes_late_is_no_occasion_of_its_own() -> None:
    purchase = EVENT_CODES["purchase"]
    state = UNKNOWN_USER.after(b"milk", purchase, NOW).after(b"milk", purchase, NOW - DAY_S)

    assert state.repeats["occasions"].tolist() == [1]
    assert state.repeats["last_at"].tolist() == [NOW]


def test_an_interval_is_the_users_own_drawn_to_the_usual_one() -> None:
    weekly = user_state([("milk", "purchase", NOW + 7 * DAY_S * week) for week in range(30)])
    once = user_state([("milk", "purchase", NOW)])
    usual = np.array([21 * DAY_S])

    assert interval_s(weekly.repeats, usual)[0] / DAY_S == pytest.approx((29 * 7 + 2 * 21) / 31)
    assert interval_s(once.repeats, usual) == pytest.approx(usual)
    assert since_s(once.repeats, NOW + 3 * DAY_S)[0] == 3 * DAY_S
    assert since_s(once.repeats, NOW - 3 * DAY_S)[0] == 0.0


def test_what_came_first_later_is_not_known_before() -> None:
    state = user_state([("milk", "purchase", NOW), ("tv", "view_item", NOW + DAY_S)])

    assert state.before(NOW + DAY_S).repeated.tolist() == [b"milk"]
    assert not state.before(NOW).present
    assert len(state.before(NOW).repeats) == 0


def test_of_what_came_again_later_only_the_first_time_was_known() -> None:
    weeks = [("milk", "purchase", NOW + 7 * DAY_S * week) for week in range(4)]
    looked = [("tv", "view_item", NOW), ("tv", "purchase", NOW + 9 * DAY_S)]

    assert_same(user_state(weeks + looked).before(NOW + DAY_S), user_state([weeks[0], looked[0]]))
    assert_same(user_state(weeks).before(NOW + 99 * DAY_S), user_state(weeks))


def test_a_wholesaler_is_remembered_fast_and_within_bounds() -> None:
    random = np.random.default_rng(0)
    count, items = 100_000, 20_000
    entries = np.zeros(count, ENTRY)
    entries["item"] = np.char.mod(b"item-%d", random.zipf(1.3, count) % items)
    entries["event"], entries["at"] = EVENT_CODES["purchase"], np.sort(NOW - random.uniform(0, 365 * DAY_S, count))
    rows, bought = random.integers(0, items, count), CONSUMES[entries["event"]]
    remember(rows, bought, entries["at"])

    started = time.perf_counter()
    kept, repeats = remember(rows, bought, entries["at"])
    took_s = time.perf_counter() - started
    state = UserState.of(entries)

    assert took_s < 0.1
    assert len(kept) == len(repeats) == MOST_ITEMS
    assert len(state.repeats) == MOST_ITEMS
    assert b"item-1" in state.repeated.tolist()  # the one bought most


def test_a_full_memory_forgets_the_least_valued_item() -> None:
    events = [(f"item-{n:03}", "view_item", NOW + n * DAY_S) for n in range(MOST_ITEMS)]
    state = user_state([("bought", "purchase", NOW), *events[1:]])
    grown = state.after(b"new", EVENT_CODES["view_item"], NOW + MOST_ITEMS * DAY_S)

    assert len(grown.repeats) == MOST_ITEMS
    assert b"new" in grown.repeated.tolist()
    assert set(state.repeated.tolist()) - set(grown.repeated.tolist()) == {b"item-001"}  # what was bought counts more
    assert grown.repeated.tolist() == sorted(grown.repeated.tolist())


def test_a_memory_knows_its_items_and_nothing_of_others() -> None:
    memory = memory_of(np.array([7, 3, 7], np.int32), np.ones(3, np.bool_), NOW + DAY_S * np.arange(3), NOW)
    of = memory.of(np.array([3, 5, 7, -1, 9], np.int32))

    assert of["bought"].tolist() == [1, 0, 2, 0, 0]
