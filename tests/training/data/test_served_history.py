"""The gateway tells the models of a history exactly what training told them of the same one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shopfuse.ranking.features import FEATURES, Context, History, candidate_features, missing_item_row, text_code
from shopfuse.ranking.history import history_vectors
from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.tensors import VECTOR
from shopfuse.ranking.user_state import EVENT_CODES, MAX_HISTORY
from shopfuse.recall.item_table import ItemTable, build_item_table
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.training.data.event_log import Events, Requests
from shopfuse.training.data.user_histories import UserHistories, user_histories
from shopfuse.training.examples.user_inputs import user_inputs
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.pipeline.user import read_user, user_tensors
from shopfuse_gateway.releases.engine import Engine
from tests.user_states import user_state

NOW = 1_790_000_000.0
DAY_S = 86400.0
ITEMS = tuple(f"item-{row}" for row in range(8))
GONE = "gone"  # an item that the shop knew once
VECTORS = np.random.default_rng(0).standard_normal((len(ITEMS), VECTOR)).astype(np.float16)
SCENES = ("holiday",)


@dataclass(frozen=True, slots=True)
class Deed:
    """One event of the user's, `age_s` before the request."""

    item: str
    event: str
    age_s: float

    @property
    def at(self) -> float:
        return NOW - self.age_s


AGES = st.floats(0.0, 400 * DAY_S) | st.integers(0, 400).map(lambda days: days * DAY_S)
DEEDS = st.builds(Deed, st.sampled_from((*ITEMS, GONE)), st.sampled_from(tuple(EVENT_CODES)), AGES)
# More than are remembered: all of known items, before the request, so that what is forgotten is the same on both sides.
MANY = st.lists(
    st.builds(Deed, st.sampled_from(ITEMS), st.sampled_from(tuple(EVENT_CODES)), st.floats(1.0, 400 * DAY_S)),
    min_size=MAX_HISTORY + 1,
    max_size=MAX_HISTORY + 10,
)


@dataclass(frozen=True, slots=True)
class Server:
    """What the gateway's stage reads: a store, and the items of a release."""

    store: LmdbStore
    items: ItemTable

    def tensors(self, deeds: Sequence[Deed]) -> dict[str, NDArray[np.generic]]:
        """Of a user who did all this."""
        engine, call = self.asked(deeds)
        return user_tensors(engine, call, read_user(engine, call))

    def history(self, deeds: Sequence[Deed]) -> History:
        return read_user(*self.asked(deeds)).history

    def asked(self, deeds: Sequence[Deed]) -> tuple[Engine, Call]:
        self.store.put_users({"ann": user_state((deed.item, deed.event, deed.at) for deed in deeds)})
        release = SimpleNamespace(
            indexes=SimpleNamespace(items=self.items),
            item_vectors=VECTORS,
            manifest=SimpleNamespace(scenes=SCENES),
        )
        counted = SimpleNamespace(inc=bool)
        metrics = SimpleNamespace(
            feature_missing=SimpleNamespace(labels=lambda _: counted),
            user_reads=counted,
            user_event_age=SimpleNamespace(observe=bool),
        )
        request = SimpleNamespace(user_id="ann", context=Context(NOW, SCENES[0], "app"))
        engine = cast(Engine, SimpleNamespace(store=self.store, release=release, metrics=metrics))
        return engine, cast(Call, SimpleNamespace(request=request))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    build_item_table(folder / "items", [CatalogueItem(item, item, category=(item[-1:],)) for item in ITEMS])
    with LmdbStore.open(folder / "store.lmdb", readonly=False) as store:
        yield Server(store, ItemTable.open(folder / "items"))


def histories_of(deeds: Sequence[Deed]) -> UserHistories:
    """Of the only user, without what the shop no longer knows."""
    known = sorted((deed for deed in deeds if deed.item != GONE), key=lambda deed: deed.at)
    count = len(known)
    events = Events(
        at=np.array([deed.at for deed in known], np.float64),
        kind=np.array([EVENT_CODES[deed.event] for deed in known], np.int8),
        row=np.array([ITEMS.index(deed.item) for deed in known], np.int32),
        user=np.zeros(count, np.int32),
        session=np.zeros(count, np.int32),
        request=np.full(count, -1, np.int32),
        position=np.full(count, -1, np.int16),
        scene=np.full(count, -1, np.int8),
    )
    return user_histories(events, 1)


def trained(deeds: Sequence[Deed]) -> dict[str, NDArray[np.generic]]:
    requests = Requests(["asked"], np.array([NOW]), np.zeros(1, np.int32), [""], ["app"], [SCENES[0]])
    inputs = user_inputs(histories_of(deeds), requests, np.zeros(1, np.int32), SCENES)
    return {
        "history_vectors": history_vectors(inputs.rows[0], VECTORS),
        "history_events": inputs.events[0],
        "history_gaps": inputs.gaps[0],
        "history_mask": inputs.mask[0],
        "context": inputs.context[0],
    }


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=st.lists(DEEDS, max_size=MAX_HISTORY) | MANY)
@example(deeds=[Deed("item-1", "purchase", 60 * DAY_S), Deed("item-2", "view_item", 40 * DAY_S)])
@example(deeds=[Deed("item-1", "purchase", DAY_S), Deed("item-2", "select_item", 0.0)])
@example(deeds=[Deed("item-1", "purchase", DAY_S), Deed(GONE, "view_item", 60.0), Deed("item-2", "view_item", 30.0)])
def test_a_history_is_served_as_it_was_trained(server: Server, deeds: list[Deed]) -> None:
    online, offline = server.tensors(deeds), trained(deeds)

    assert online.keys() == offline.keys()
    for name, expected in offline.items():
        np.testing.assert_array_equal(online[name], expected, err_msg=name)
        assert online[name].dtype == expected.dtype, name


def test_beyond_a_month_longer_tells_no_more(server: Server) -> None:
    tensors = server.tensors([Deed("item-1", "purchase", days * DAY_S) for days in (60, 40, 30, 1)])

    assert tensors["history_gaps"][-4:] == pytest.approx(np.log1p([720.0, 720.0, 720.0, 24.0]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=MANY)
def test_what_is_remembered_of_items_is_served_as_it_was_trained(server: Server, deeds: list[Deed]) -> None:
    rows, context = np.arange(len(ITEMS), dtype=np.int32), Context(NOW)
    items = np.repeat(missing_item_row(), len(ITEMS))
    items["category"] = [text_code(item[-1:]) for item in ITEMS]
    online, offline = server.history(deeds), histories_of(deeds).history(0, NOW, items)

    served, learned = (candidate_features(rows, items, history, context, SCENES) for history in (online, offline))

    np.testing.assert_array_equal(online.memory.rows, offline.memory.rows)
    # Items without a row in the store have no category there: what comes of the last events differs by that alone.
    affinity = [FEATURES.index(name) for name in ("brand_affinity", "category_affinity", "parent_affinity")]
    np.testing.assert_allclose(np.delete(served, affinity, 1), np.delete(learned, affinity, 1), rtol=1e-5)


def test_what_vanished_from_the_catalogue_is_in_no_memory(server: Server) -> None:
    memory = server.history([Deed(GONE, "purchase", DAY_S), Deed("item-3", "purchase", DAY_S)]).memory

    assert memory.rows.tolist() == [3]
    assert len(memory.repeats) == len(memory.categories) == 1
