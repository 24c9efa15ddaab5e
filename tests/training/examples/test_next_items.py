"""Windows of histories: every event is what came next once, and a batch says of each what was known before it."""

import numpy as np
import pytest

from shopfuse.ranking.features import Context, context_features
from shopfuse.ranking.user_state import EVENT_WEIGHT, MAX_HISTORY
from shopfuse.training.data.event_log import Events
from shopfuse.training.data.user_histories import UserHistories, user_histories
from shopfuse.training.examples.next_items import NextItemBatch, NextItemSampler, windows_before, windows_since

ITEMS = 30
EVERY = np.arange(ITEMS, dtype=np.int32)  # each is a product of its own


def histories(*lengths: int) -> UserHistories:
    """User u has lengths[u] events, an hour apart, on items that never repeat the one before."""
    users = np.repeat(np.arange(len(lengths)), lengths).astype(np.int32)
    place = np.concatenate([np.arange(length) for length in lengths])
    count = len(users)
    events = Events(
        at=place * 3600.0 + 1e9,
        kind=(1 + place % 4).astype(np.int8),
        row=((7 * users + place) % ITEMS).astype(np.int32),
        user=users,
        session=users,
        request=np.full(count, -1, np.int32),
        position=np.full(count, -1, np.int16),
        scene=np.full(count, -1, np.int8),
    )
    return user_histories(events, len(lengths))


def whole(past: UserHistories, count: int = ITEMS) -> NextItemBatch:
    """One batch of all windows, compared with every item unless fewer are asked for."""
    windows = windows_before(past, np.inf, 1000)
    return NextItemSampler.of(windows, EVERY, count).batch(windows, np.random.default_rng(0))


def test_every_event_but_a_users_first_is_a_target_once() -> None:
    windows = windows_before(histories(1, 2, 50, 51, 52, 160), np.inf, 1000)
    targets = np.concatenate(
        [np.arange(start + 1, end) for start, end in zip(windows.starts, windows.ends, strict=True)]
    )

    assert len(np.unique(targets)) == len(targets) == 0 + 1 + 49 + 50 + 51 + 159
    assert windows.lengths.max() <= MAX_HISTORY + 1
    assert windows.lengths.min() >= 2


def test_nothing_at_or_after_the_cut_is_in_a_window() -> None:
    past = histories(20, 5)
    cut = 1e9 + 10 * 3600.0
    windows = windows_before(past, cut, 1000)

    last = past.events.at[windows.ends - 1]
    assert (last < cut).all()
    assert windows.lengths.tolist() == [10, 5]


def test_later_windows_only_want_what_came_after_the_cut() -> None:
    cut = 1e9 + 10 * 3600.0
    windows = windows_since(histories(20, 5, 12), cut, np.inf, 1000)
    batch = NextItemSampler.of(windows, EVERY, ITEMS).batch(windows, np.random.default_rng(0))

    assert len(windows) == 2  # the second user did nothing after it
    assert int((batch.weight > 0).sum()) == 10 + 2


def test_a_batch_says_what_came_next_and_what_was_before() -> None:
    past = histories(4)
    batch = whole(past)
    entries = batch.rows[batch.history[0]].tolist()
    wanted = batch.rows[batch.compared[batch.target[0]]].tolist()

    assert entries == past.events.row[:3].tolist()
    assert wanted == past.events.row[1:].tolist()
    assert batch.steps[0].tolist() == pytest.approx([float(np.log1p(1.0))] * 3)
    expected = EVENT_WEIGHT[past.events.kind[1:]]
    assert batch.weight[0].tolist() == pytest.approx((expected / expected.sum()).tolist())
    for place in range(3):
        context = context_features(Context(float(past.events.at[place + 1])), place + 1, ())
        assert batch.contexts[0, place].tolist() == pytest.approx(context.tolist())


def test_the_same_item_again_at_once_is_no_target() -> None:
    past = histories(4)
    past.events.row[2] = past.events.row[1]

    assert (whole(past).weight[0] > 0).tolist() == [True, False, True]


def test_shorter_windows_are_padded_in_front() -> None:
    batch = whole(histories(6, 3))

    assert batch.mask.tolist() == [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1]]
    assert (batch.history[1, :3] == len(batch.rows)).all()
    assert not batch.weight[1, :3].any()


def test_the_softmax_over_a_sample_is_on_average_the_one_over_all() -> None:
    windows = windows_before(histories(*[3] * 300), np.inf, 1000)
    sampler = NextItemSampler.of(windows, EVERY, 8)
    logits = np.random.default_rng(0).normal(size=ITEMS)
    drawn = np.random.default_rng(1)
    sums = []
    for _ in range(500):
        batch = sampler.batch(windows.take(drawn.integers(0, len(windows), 3)), drawn)
        raised = logits[batch.rows[batch.compared].numpy()] + batch.correction.numpy()
        sums.append(np.exp(raised).sum())

    assert np.mean(sums) == pytest.approx(np.exp(logits).sum(), rel=0.1)


@pytest.mark.parametrize("count", [4, ITEMS])
def test_what_comes_next_is_a_product_which_no_variant_of_it_is_compared_with(count: int) -> None:
    product = EVERY // 3 * 3  # three variants each
    past = user_histories(histories(6, 9).events, 2, product)
    windows = windows_before(past, np.inf, 1000)
    batch = NextItemSampler.of(windows, product, count).batch(windows, np.random.default_rng(0))
    before = batch.rows[batch.history[batch.mask > 0]].numpy()

    assert set(batch.rows[batch.compared].tolist()) <= set(product.tolist())
    assert np.unique(before % 3).tolist() == [0, 1, 2]  # of the history it knows which one it was
