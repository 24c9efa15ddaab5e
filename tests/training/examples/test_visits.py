"""Visits as lists: what users did on their own after a moment, each at its first moment, users counting about alike."""

import numpy as np

from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.data.cleaning import Cleaning
from shopfuse.training.data.event_log import EventLog, Events, Requests
from shopfuse.training.data.user_histories import user_histories
from shopfuse.training.examples.impressions import ImpressionList
from shopfuse.training.examples.visits import MOST_WANTED, with_visits

NO_REQUESTS = Requests([], np.zeros(0), np.zeros(0, np.int32), [], [], [])
Row = tuple[float, str, int, int, int, int]  # moment, kind, item, user, session, request


def visited(*rows: Row, since: float = 0.0, most: int = 100) -> tuple[EventLog, list[ImpressionList]]:
    at, kind, item, user, session, request = (np.array(column) for column in zip(*sorted(rows), strict=True))
    events = Events(
        at=at.astype(np.float64),
        kind=np.array([EVENT_CODES[name] for name in kind], np.int8),
        row=item.astype(np.int32),
        user=user.astype(np.int32),
        session=session.astype(np.int32),
        request=request.astype(np.int32),
        position=np.full(len(at), -1, np.int16),
        scene=np.full(len(at), -1, np.int8),
    )
    users = int(user.max()) + 1
    log = EventLog(events, NO_REQUESTS, [f"u{code}" for code in range(users)], (), Cleaning())
    return with_visits(log, user_histories(events, users), since, most, seed=0)


DAY_S = 86400.0


def test_a_visit_is_asked_at_its_first_moment_and_wants_its_items_by_their_strongest_event() -> None:
    log, lists = visited(
        (10.0, "view_item", 5, 0, 0, -1), (11.0, "view_item", 3, 0, 0, -1), (12.0, "purchase", 5, 0, 0, -1)
    )

    assert log.requests.at.tolist() == [10.0]
    assert log.requests.user.tolist() == [0]
    assert [(one.request, one.rows.tolist()) for one in lists] == [(0, [5, 3])]  # in the order of the visit
    assert lists[0].outcome.tolist() == [EVENT_CODES["purchase"], EVENT_CODES["view_item"]]
    assert not lists[0].was_shown


def test_sessions_and_users_part_visits_and_lists_are_by_time() -> None:
    log, lists = visited(
        (30.0, "purchase", 1, 0, 0, -1),
        (20.0, "purchase", 2, 1, 1, -1),
        (31.0, "purchase", 3, 0, 2, -1),
        (90.0, "purchase", 4, 2, 3, -1),
    )

    assert [one.rows.tolist() for one in lists] == [[2], [1, 3], [3]]
    assert log.requests.at.tolist() == [20.0, 30.0, 31.0]


def test_what_is_wanted_reaches_two_weeks_from_the_visit_and_none_begins_too_near_the_end() -> None:
    week = 7 * DAY_S
    _, lists = visited(*((place * week, "purchase", place, 0, place, -1) for place in range(10)))

    assert [sorted(one.rows.tolist()) for one in lists] == [[place, place + 1, place + 2] for place in range(8)]


def test_what_came_before_the_moment_or_names_a_request_is_left_out() -> None:
    _, lists = visited(
        (9.0, "purchase", 1, 0, 0, -1), (10.0, "purchase", 2, 0, 1, -1), (11.0, "select_item", 3, 0, 2, 0), since=10.0
    )

    assert [one.rows.tolist() for one in lists] == [[2]]


def test_of_too_many_visits_every_user_keeps_about_as_many() -> None:
    busy = [(float(day), "purchase", day % 7, 0, day, -1) for day in range(100)]
    others = [(float(user), "purchase", 1, user, 1000 + user, -1) for user in range(1, 6)]

    log, lists = visited(*busy, *others, most=8)

    users = log.requests.user[[one.request for one in lists]]
    assert len(lists) == 8
    assert set(users.tolist()) == set(range(6))


def test_of_a_long_visit_the_strongest_events_are_kept() -> None:
    seen: list[Row] = [(float(item), "view_item", item, 0, 0, -1) for item in range(40)]
    _, lists = visited(*seen, (50.0, "purchase", 39, 0, 0, -1))

    assert len(lists[0].rows) == MOST_WANTED
    assert 39 in lists[0].rows
