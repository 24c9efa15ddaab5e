"""Rows counted from the past, and their measures, beside a reference that goes user by user and item by item."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from shopfuse.core.progress import silent
from shopfuse.evaluation.offline.holdout import Holdout, split_by_time
from shopfuse.evaluation.offline.past import Past, Rankings, pieces, read_past, rows_of, top
from shopfuse.evaluation.offline.user_measures import UserMeasures, measure, outcome, table
from shopfuse.metrics.ndcg import ndcg, recall, reciprocal_rank
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.sequences.fit import SequenceTraining
from shopfuse.training.sequences.workers import Workers
from tests.evaluation.offline.test_holdout import Row, catalogue, log

ITEMS, USERS, HOURS = 40, 30, 24 * 60
SHOP = catalogue(*(f"i{item:02d}" for item in range(ITEMS)))


def purchases() -> list[Row]:
    """Of users with favourites, some of which they buy again and again."""
    random = np.random.default_rng(0)
    favourites = random.integers(0, ITEMS, (USERS, 4))
    rows: list[Row] = []
    for hour in np.sort(random.choice(HOURS, 500, replace=False)):
        user = int(random.integers(USERS))
        item = int(
            favourites[user, random.integers(4)] if random.random() < 0.6 else random.integers(ITEMS) ** 2 / ITEMS
        )
        rows.append((float(hour), f"u{user:02d}" if user else None, f"i{item:02d}"))
    return rows


EVENTS = log(*purchases())
DIVIDED = split_by_time(EVENTS, SHOP, "14d")


@pytest.fixture(scope="module")
def past() -> Past:
    return read_past(DIVIDED.known.lazy(), SHOP, DIVIDED.holdout)


@pytest.fixture(scope="module")
def rows(past: Past) -> Rankings:
    with Workers(1, past, silent) as workers:
        return rows_of(workers.results(pieces(SequenceTraining(epochs=2, least_steps=0))))


def reference(name: str, place: int, holdout: Holdout, shop: Catalogue) -> list[str]:
    """The ranking of one user by a row, from the plain events."""
    known = DIVIDED.known.select("user_id", "item_id", "timestamp").rows()
    newest = max(at for _, _, at in known)
    popularity = Counter(item for _, item, _ in known)
    score: Counter[str] = Counter()
    for user, item, at in known:
        own = user == holdout.users[place]
        days = (holdout.at[place] - at.timestamp()) / 86_400
        score[item] += {
            "popularity": 1.0,
            "popularity_30_days": float(at > newest - timedelta(days=30)),
            "own_frequency": float(own),
            "own_frequency_decayed": own * 0.985**days,
        }[name]
    return sorted(shop.ids, key=lambda item: (-score[item], -popularity[item], item))


@pytest.mark.parametrize("name", ["popularity", "popularity_30_days", "own_frequency", "own_frequency_decayed"])
def test_a_counted_row_ranks_as_counting_by_hand_does(rows: Rankings, name: str) -> None:
    holdout = DIVIDED.holdout

    for place in range(len(holdout)):
        assert [SHOP.ids[row] for row in rows[name][place]] == reference(name, place, holdout, SHOP), place


def test_every_row_ranks_every_item_once(rows: Rankings) -> None:
    names = ["popularity", "popularity_30_days", "own_frequency", "own_frequency_decayed"]

    assert list(rows) == [*names, "item_knn", "item_knn_transitions", "sasrec"]
    for ranking in rows.values():
        assert (np.sort(ranking, axis=1) == np.arange(ITEMS)).all()


def test_measures_are_those_of_each_user_alone(past: Past, rows: Rankings) -> None:
    holdout = DIVIDED.holdout
    truth = outcome(holdout, past.item_count, past.owned(), past.event_counts)
    ranking = np.where(np.arange(ITEMS) < 30, rows["own_frequency"], -1)  # the last places stay empty
    measured = measure(ranking, truth)
    known = DIVIDED.known.select("user_id", "item_id").rows()

    for place, user in enumerate(holdout.users):
        ids = [SHOP.ids[row] for row in ranking[place] if row >= 0]
        items = [SHOP.ids[row] for row in holdout.items[holdout.starts[place] : holdout.starts[place + 1]]]
        had = {item for item in items if (user, item) in known}
        grades = dict.fromkeys(items, 1.0)
        expected = [
            ndcg(ids, grades),
            float(any(item in grades for item in ids[:10])),
            recall(ids, grades, 20),
            recall(ids, grades, 100),
            reciprocal_rank(ids, grades),
            ndcg(ids, dict.fromkeys(had, 1.0)) if had else np.nan,
            ndcg(ids, dict.fromkeys(set(items) - had, 1.0)) if set(items) - had else np.nan,
        ]
        np.testing.assert_allclose(measured.columns[place], expected, rtol=1e-12)
    assert measured.coverage == len(np.unique(ranking[:, :10])) / ITEMS


def test_a_table_groups_users_by_what_is_known_of_them_and_pairs_its_leads(past: Past, rows: Rankings) -> None:
    truth = outcome(DIVIDED.holdout, past.item_count, past.owned(), past.event_counts)
    measures: dict[str, UserMeasures] = {
        "served": measure(rows["own_frequency"], truth),
        "popularity": measure(rows["popularity"], truth),
    }

    document = table(measures, truth)

    served, popularity = document["served"], document["popularity"]
    groups: dict[str, dict[str, float]] = served["users_by_events"]  # type: ignore[assignment]
    assert sum(group["users"] for group in groups.values()) == len(DIVIDED.holdout)
    assert list(groups) == ["0", "1-4", "5-19", "20+"]
    assert popularity["served_leads_by"] == pytest.approx(served["ndcg@10"] - popularity["ndcg@10"])  # type: ignore[operator]
    assert popularity["lead_low"] < popularity["served_leads_by"] < popularity["lead_high"]  # type: ignore[operator]
    assert "lead_low" not in served


def test_equal_scores_come_in_the_order_of_popularity() -> None:
    scores = np.array([[0.0, 2.0, 2.0, 0.0, 1.0]])

    ranking = top(scores, np.array([3, 2, 0, 1, 4]), kept=4)

    assert ranking.tolist() == [[2, 1, 4, 3]]


def test_a_user_of_whom_nothing_is_known_is_recommended_what_is_popular() -> None:
    events = log((0, "ann", "i01"), (1, "ann", "i02"), (2, "bob", "i01"), (3, "bob", "i02"), (90, "new", "i03"))
    divided = split_by_time(events, SHOP, "1d")
    stranger = read_past(divided.known.lazy(), SHOP, divided.holdout)
    with Workers(1, stranger, silent) as workers:
        rows = rows_of(workers.results(pieces(SequenceTraining(epochs=1, least_steps=0))))

    assert stranger.event_counts.tolist() == [0]
    for name, ranking in rows.items():
        if name != "popularity_30_days":
            np.testing.assert_array_equal(ranking, rows["popularity"], name)
