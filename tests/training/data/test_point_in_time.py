"""No leakage: what was known at a request is what happened strictly before it."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from shopfuse.ranking.features import context_features
from shopfuse.ranking.history import history_tensors
from shopfuse.ranking.tensors import MODALITIES, TOKEN, VECTOR
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.data.event_log import IMPRESSION, EventLog
from shopfuse.training.data.item_statistics import item_rows_at
from shopfuse.training.data.snapshot import ItemVectors, take_snapshot
from shopfuse.training.data.user_histories import user_histories, user_states
from shopfuse.training.examples.clicks import tower_examples
from shopfuse.training.examples.impressions import Replay, newest_impression_lists
from shopfuse.training.examples.logged_features import LoggedLists
from shopfuse.training.examples.user_inputs import request_context, user_inputs
from tests.training.conftest import Shop


def _busy_user(shop: Shop) -> int:
    return int(np.bincount(shop.log.events.engaged.user).argmax())


def test_a_history_ends_strictly_before_its_moment(shop: Shop) -> None:
    histories = user_histories(shop.log.events, len(shop.log.users))
    rows = item_rows_at(shop.catalogue, shop.log.events, 0.0)
    user = _busy_user(shop)
    moments = histories.events.at[histories.starts[user] : histories.starts[user + 1]]

    for moment in moments[::7]:
        assert (histories.history(user, float(moment), rows).at < moment).all()
    assert len(histories.history(user, float(moments[0]), rows).rows) == 0


def test_many_histories_at_once_equal_one_at_a_time(shop: Shop) -> None:
    histories = user_histories(shop.log.events, len(shop.log.users))
    rows = item_rows_at(shop.catalogue, shop.log.events, 0.0)
    requests = shop.log.requests
    codes = np.flatnonzero(requests.user == _busy_user(shop))[-20:].astype(np.int32)
    vectors = np.zeros((len(rows), VECTOR), np.float16)

    inputs = user_inputs(histories, requests, codes, shop.log.scenes)

    for place, code in enumerate(codes.tolist()):
        context = request_context(requests, code)
        history = histories.history(int(requests.user[code]), context.at, rows)
        tensors = history_tensors(history, vectors, context.at)
        expected = context_features(context, len(history.rows), shop.log.scenes)
        assert np.array_equal(inputs.events[place], tensors["history_events"])
        assert np.array_equal(inputs.mask[place], tensors["history_mask"])
        assert np.allclose(inputs.gaps[place], tensors["history_gaps"], atol=1e-5)
        assert np.array_equal(inputs.context[place], expected)
        assert np.array_equal(inputs.rows[place][-len(history.rows) :], history.rows)


def test_tower_examples_are_clicks_with_the_outcome_of_their_request(shop: Shop) -> None:
    events = shop.log.events
    histories = user_histories(events, len(shop.log.users))

    examples = tower_examples(shop.log, events, histories, {})

    clicks = events.take(events.kind == EVENT_CODES["select_item"])
    bought = events.take(events.kind == EVENT_CODES["purchase"])
    assert len(examples) == len(clicks)
    assert int((examples.weight == 3.0).sum()) == len(set(zip(bought.request, bought.row, strict=True)))
    assert (examples.query == -1).all()


def test_replayed_lists_hold_what_was_shown_and_clicked(shop: Shop) -> None:
    since = float(np.quantile(shop.log.events.at, 0.9))
    events = shop.log.events

    lists = newest_impression_lists(shop.log, since, most=50)

    clicked = [impressions for impressions in lists if impressions.clicked]
    assert len(clicked) == 50 and 0 < len(lists) - len(clicked) <= 25
    assert {impressions.weight for impressions in clicked} == {1.0}
    assert all(impressions.weight >= 1.0 for impressions in lists)
    for impressions in lists:
        of_request = events.take(events.request == impressions.request)
        assert set(impressions.rows) <= set(of_request.row[of_request.kind == IMPRESSION])
        assert set(impressions.rows[impressions.outcome > 0]) == set(of_request.engaged.row)
        assert shop.log.requests.at[impressions.request] >= since


def _until(log: EventLog, at: float) -> EventLog:
    """The log as it was at `at`."""
    return replace(log, events=log.events.before(at))


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_statistics_at_a_moment_know_nothing_of_later_events(shop: Shop, share: float) -> None:
    events, at = shop.log.events, float(np.quantile(shop.log.events.at, share))

    rows = item_rows_at(shop.catalogue, events, at)

    assert np.array_equal(rows, item_rows_at(shop.catalogue, events.before(at), at))
    bought_since = replace(events, kind=np.where(events.at >= at, EVENT_CODES["purchase"], events.kind))
    assert np.array_equal(rows, item_rows_at(shop.catalogue, bought_since, at))
    later = item_rows_at(shop.catalogue, events, float(events.at[-1]) + 1.0)
    for name in ("popularity", "click_rate", "cart_rate", "purchase_rate", "scene_lift"):
        assert not np.array_equal(rows[name], later[name]), name  # or the events since then would say nothing


def test_an_event_at_the_moment_itself_is_not_yet_known(shop: Shop) -> None:
    events = shop.log.events
    clicks = events.take(events.kind == EVENT_CODES["select_item"])
    at, row = float(clicks.at[len(clicks) // 2]), int(clicks.row[len(clicks) // 2])

    on_time, after = (item_rows_at(shop.catalogue, events, moment) for moment in (at, float(np.nextafter(at, np.inf))))

    assert on_time["click_rate"][row] < after["click_rate"][row]


def _replayed(shop: Shop, log: EventLog, cut: float, code: int, folder: Path) -> LoggedLists:
    """What the ranker would be given at request `code`, had it been made while the log was `log`."""
    random = np.random.default_rng(0)
    count = len(shop.catalogue)
    items = ItemVectors(
        random.standard_normal((count, VECTOR)).astype(np.float16),
        random.standard_normal((count, len(MODALITIES), TOKEN)).astype(np.float16),
        np.ones((count, len(MODALITIES)), np.float32),
    )
    snapshot = take_snapshot(folder, shop.catalogue, shop.text_vectors, items, log, cut)
    listed = next(one for one in newest_impression_lists(shop.log, cut, most=10_000) if one.request == code)
    replay = Replay(shop.catalogue, log, user_histories(log.events, len(log.users)), snapshot, seed=0)
    text = random.standard_normal((1, shop.text_vectors.shape[1])).astype(np.float32)
    user, query = (random.standard_normal((1, VECTOR)).astype(np.float32) for _ in range(2))
    return replay.run([listed], text, query, user, np.array([-1], np.int32))


def test_a_replayed_request_is_what_it_was_before_all_that_followed(shop: Shop, tmp_path: Path) -> None:
    cut = float(np.quantile(shop.log.events.at, 0.7))
    lists = newest_impression_lists(shop.log, cut, most=10_000)

    for code in (lists[0].request, lists[len(lists) // 2].request, lists[-1].request):
        at = float(shop.log.requests.at[code])
        now = _replayed(shop, shop.log, cut, code, tmp_path / "now")
        then = _replayed(shop, _until(shop.log, at), cut, code, tmp_path / "then")
        for field in fields(LoggedLists):
            assert np.array_equal(getattr(now, field.name), getattr(then, field.name)), field.name
        assert now.features.any()


def test_stored_users_are_the_histories_at_the_end(shop: Shop) -> None:
    states = user_states(shop.log, shop.catalogue.ids, np.inf)
    user = _busy_user(shop)
    histories = user_histories(shop.log.events, len(shop.log.users))

    stored = states[shop.log.users[user]]

    rows = histories.events.row[histories.entries(user, np.inf)]
    assert [item.decode() for item in stored.item_ids.tolist()] == [shop.catalogue.ids[row] for row in rows]
