"""What every feature store must do. A store's test class derives from this one and gives a fixture `store`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.ranking.features import ITEM_ROW, missing_item_row
from shopfuse.ranking.user_state import MAX_HISTORY, UNKNOWN_USER, UserState
from shopfuse.state.store import Display, FeatureStore, StoreError
from tests.user_states import user_state

LAMP = Display("Lämp", 12.5, "EUR", "https://shop/lamp.png", "Nordlicht", ("Home", "Light"))
SHOE = Display("Shoe")


class Store(FeatureStore, Protocol):
    """A store that can be written, too: each call whole or not at all, in place of what it had under these ids."""

    def put_users(self, users: Mapping[str, UserState]) -> None: ...

    def put_items(self, item_ids: Sequence[bytes], rows: NDArray[np.void]) -> None: ...

    def put_display(self, displays: Mapping[bytes, Display]) -> None: ...


def item_rows(*prices: float) -> NDArray[np.void]:
    rows = np.zeros(len(prices), ITEM_ROW)
    rows["price"], rows["scene_lift"] = prices, 0.25
    return rows


class FeatureStoreContract:
    def test_items_come_back_in_the_order_asked_for(self, store: Store) -> None:
        store.put_items([b"a", b"b", b"c"], item_rows(1, 2, 3))
        rows, present = store.items([b"c", b"a", b"c"])

        assert rows.tobytes() == item_rows(3, 1, 3).tobytes()
        assert rows.dtype == ITEM_ROW
        assert present.tolist() == [True, True, True]

    def test_an_unknown_item_has_neutral_features(self, store: Store) -> None:
        store.put_items([b"a"], item_rows(1))
        rows, present = store.items([b"nobody", b"a", b"", b"x" * 5000])

        assert present.tolist() == [False, True, False, False]
        for place in (0, 2, 3):
            assert rows[place].tobytes() == missing_item_row().tobytes()

    def test_nothing_asked_for_is_nothing(self, store: Store) -> None:
        rows, present = store.items([])

        assert (len(rows), rows.dtype, len(present)) == (0, ITEM_ROW, 0)
        assert store.users([]) == []
        assert store.display([]) == []

    def test_a_later_write_replaces_an_earlier_one_and_leaves_others(self, store: Store) -> None:
        store.put_items([b"a", b"b"], item_rows(1, 2))
        store.put_items([b"b"], item_rows(9))

        assert store.items([b"a", b"b"])[0]["price"].tolist() == [1, 9]

    def test_users_come_back_with_their_history(self, store: Store) -> None:
        state = user_state([("a", "view_item", 5.0), ("b", "purchase", 3.0)])
        store.put_users({"mia@example.org": state, "Jürgen": user_state([])})
        users = store.users(["mia@example.org", "nobody", "", "u" * 5000, "Jürgen"])

        assert users[0].entries.tolist() == state.entries.tolist()
        assert users[0].item_ids.tolist() == [b"b", b"a"]
        assert users[1:4] == [UNKNOWN_USER] * 3
        assert not users[4].present

    def test_a_full_history_fits(self, store: Store) -> None:
        store.put_users({"u": user_state([("a" * 128, "view_item", float(at)) for at in range(200)])})

        assert len(store.users(["u"])[0].entries) == MAX_HISTORY

    def test_display_comes_back_as_it_was_put(self, store: Store) -> None:
        store.put_display({b"lamp": LAMP, b"shoe": SHOE})

        assert store.display([b"shoe", b"nobody", b"lamp"]) == [SHOE, None, LAMP]

    def test_tables_do_not_share_ids(self, store: Store) -> None:
        store.put_display({b"a": LAMP})

        assert store.items([b"a"])[1].tolist() == [False]
        assert store.users(["a"]) == [UNKNOWN_USER]

    def test_a_refused_write_changes_nothing(self, store: Store) -> None:
        store.put_items([b"a"], item_rows(1))

        with pytest.raises(StoreError, match="2 item rows, got 1"):
            store.put_items([b"a", b"b"], item_rows(7))
        with pytest.raises(StoreError, match="0 bytes"):
            store.put_items([b"a", b""], item_rows(7, 8))
        assert store.items([b"a"])[0]["price"].tolist() == [1]

    def test_many_items_are_one_read(self, store: Store) -> None:
        ids = [f"item-{number}".encode() for number in range(2000)]
        store.put_items(ids, item_rows(*range(2000)))
        rows, present = store.items(ids[::-1])

        assert present.all()
        assert rows["price"].tolist() == list(range(2000))[::-1]
