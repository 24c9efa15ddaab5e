"""How often users come back to an item: shrunk to its category's and the shop's, in shops of every kind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.ranking.repeats import DAY_S, USUAL_INTERVAL_S
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import IMPRESSION, Events
from shopfuse.training.data.item_statistics import PRIOR_GAPS, PRIOR_USERS, engagement_rates, repeats

NOW = 1_780_000_000.0


class Shop(SimpleNamespace):
    """Items by their category's code."""

    def __len__(self) -> int:
        return len(self.category)


def catalogue(*categories: int) -> Catalogue:
    return cast(Catalogue, Shop(category=np.array(categories, np.int32)))


def events_of(deeds: list[tuple[int, int, str, float]]) -> Events:
    """Of (user, row, event, days ago)."""
    deeds = sorted(deeds, key=lambda deed: -deed[3])
    count = len(deeds)

    def column(place: int, dtype: type) -> NDArray[np.generic]:
        return np.array([deed[place] for deed in deeds], dtype)

    return Events(
        at=NOW - DAY_S * np.array([deed[3] for deed in deeds]),
        kind=np.array([EVENT_CODES.get(deed[2], IMPRESSION) for deed in deeds], np.int8),
        row=np.array([deed[1] for deed in deeds], np.int32),
        user=np.array([deed[0] for deed in deeds], np.int32),
        session=np.zeros(count, np.int32),
        request=np.full(count, -1, np.int32),
        position=np.full(count, -1, np.int16),
        scene=np.full(count, -1, np.int8),
    )


def weekly(user: int, row: int, times: int, event: str = "purchase") -> list[tuple[int, int, str, float]]:
    return [(user, row, event, 7.0 * time + 1.0) for time in range(times)]


def test_an_items_interval_is_drawn_to_its_categorys() -> None:
    events = events_of([deed for user in range(50) for deed in weekly(user, 0, 10)])

    interval, _, _ = repeats(catalogue(1, 1, 2), events, NOW)

    assert interval[0] / DAY_S == pytest.approx(7.0, rel=0.05)
    assert interval[1] / DAY_S == pytest.approx(7.0, rel=0.3)  # of the same category
    shop = (450 * 7 * DAY_S + PRIOR_GAPS * USUAL_INTERVAL_S) / (450 + PRIOR_GAPS)
    assert interval[2] == pytest.approx(shop)


def test_the_repeat_rate_is_of_those_who_had_the_time() -> None:
    came_back = [deed for user in range(30) for deed in weekly(user, 0, 3)]
    did_not = [(user, 0, "purchase", 90.0) for user in range(30, 60)]
    yesterday = [(user, 0, "purchase", 1.0) for user in range(60, 500)]

    _, rate, of_category = repeats(catalogue(1, 2), events_of(came_back + did_not + yesterday), NOW)

    assert rate[0] == pytest.approx(0.5, abs=0.06)
    assert of_category[0] == pytest.approx(0.5, abs=0.06)
    assert of_category[1] == pytest.approx(30 / (60 + PRIOR_USERS))  # nothing is known but the shop


def test_looking_again_is_no_repeat_where_things_are_bought() -> None:
    looks = [deed for user in range(30) for deed in weekly(user, 0, 5, "view_item")]
    bought = [(user, 0, "purchase", 90.0) for user in range(30)]

    assert repeats(catalogue(1), events_of(looks + bought), NOW)[1][0] == 0.0
    assert repeats(catalogue(1), events_of(looks), NOW)[1][0] > 0.5  # in a shop that knows looks only


@pytest.mark.parametrize("event", EVENT_CODES)
def test_a_shop_with_one_kind_of_event_has_finite_rates(event: str) -> None:
    events = events_of([deed for user in range(20) for deed in weekly(user, user % 2, 4, event)])

    statistics = (*repeats(catalogue(1, 1, 2), events, NOW), *engagement_rates(events, 3))

    assert all(np.isfinite(values).all() for values in statistics)
    assert all((values >= 0).all() and (values <= 1).all() for values in statistics[1:])


def test_without_events_nobody_comes_back() -> None:
    interval, rate, of_category = repeats(catalogue(1, 2), events_of([]), NOW)

    assert interval.tolist() == [USUAL_INTERVAL_S] * 2
    assert rate.tolist() == of_category.tolist() == [0.0, 0.0]


def test_all_events_at_one_second_repeat_nothing() -> None:
    events = events_of([(0, 0, "purchase", 5.0)] * 20)

    assert repeats(catalogue(1), events, NOW)[1][0] == 0.0
