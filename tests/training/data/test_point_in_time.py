"""No leakage: what was known at a request is what happened strictly before it."""

import numpy as np

from shopfuse.ranking.features import context_features
from shopfuse.ranking.history import history_tensors
from shopfuse.ranking.tensors import VECTOR
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.data.event_log import IMPRESSION
from shopfuse.training.data.item_statistics import item_rows_at
from shopfuse.training.data.user_histories import user_histories, user_states
from shopfuse.training.examples.clicks import tower_examples
from shopfuse.training.examples.impressions import newest_impression_lists
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


def test_stored_users_are_the_histories_at_the_end(shop: Shop) -> None:
    states = user_states(shop.log, shop.catalogue.ids, np.inf)
    user = _busy_user(shop)
    histories = user_histories(shop.log.events, len(shop.log.users))

    stored = states[shop.log.users[user]]

    rows = histories.events.row[histories.entries(user, np.inf)]
    assert [item.decode() for item in stored.item_ids.tolist()] == [shop.catalogue.ids[row] for row in rows]
