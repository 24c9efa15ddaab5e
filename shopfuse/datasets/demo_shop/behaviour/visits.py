"""Who comes to the shop on a day, and the requests that they make: searches and visits to the home page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.behaviour.intents import Intents, draw_intents, draw_leaves
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.items import Codes
from shopfuse.datasets.demo_shop.world.tastes import Liking, Rows
from shopfuse.datasets.demo_shop.world.world import DemoShop

_SESSIONS_PER_DAY = 0.26  # of a shopper with mean activity
_FEWEST_SESSIONS = 5.0  # over the period: a shop of a few days is a busy one, so that it has something to teach
_FURTHER_REQUESTS = 1.0  # mean number of requests of a session after its first
_SEARCH_SHARE = 0.6
_STAYS_ON_TOPIC = 0.65
_SECONDS_BETWEEN = 80.0
# Shoppers by hour of the day, and by day of the week from Monday.
_HOURS = np.array([2, 1, 1, 1, 1, 1, 2, 4, 5, 5, 6, 6, 7, 6, 5, 5, 6, 7, 8, 10, 11, 10, 7, 0], np.float64)
_WEEKDAYS = (1.0, 0.95, 0.95, 0.95, 0.95, 1.1, 1.2)


@dataclass(frozen=True, slots=True)
class DayRequests:
    """One row for each request of the day. `person` indexes `people` and the tables of `liking`."""

    day: int
    scene: int
    lift: FloatArray  # the scene's demand by leaf
    people: Rows  # rows of the shoppers that came
    liking: Liking
    person: Rows
    session: Rows  # numbered within the day
    second: NDArray[np.float64]  # of the day
    is_search: NDArray[np.bool_]
    intents: Intents  # meaningless where is_search is false

    def __len__(self) -> int:
        return len(self.person)


def _start_seconds(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Starts of sessions; none in the last hour, so that a session stays within its day."""
    hour = rng.choice(24, size=count, p=_HOURS / _HOURS.sum())
    return np.asarray(hour * 3600.0 + rng.uniform(0, 3600, count))


def draw_requests(rng: np.random.Generator, shop: DemoShop, day: int) -> DayRequests:
    """The requests of one day, session by session."""
    users = shop.users
    per_day = max(_SESSIONS_PER_DAY, _FEWEST_SESSIONS / shop.period.days)
    rate = per_day * _WEEKDAYS[shop.period.date_of(day).weekday()] * users.activity
    visitor = np.repeat(np.arange(len(users)), rng.poisson(rate * (users.joined_day < day + 0.5)))
    length = 1 + np.minimum(rng.poisson(_FURTHER_REQUESTS, len(visitor)), 9)
    session = np.repeat(np.arange(len(visitor)), length)
    step = np.arange(len(session)) - np.repeat(np.cumsum(length) - length, length)
    people, person = np.unique(visitor[session], return_inverse=True)
    liking = shop.liking(people, shop.period.progress(day))
    scene = shop.period.scene_of(day)
    leaf = _topics(rng, shop, liking, person, session, shop.lifts[scene])
    return DayRequests(
        day=day,
        scene=scene,
        lift=shop.lifts[scene],
        people=people,
        liking=liking,
        person=person,
        session=session,
        second=_start_seconds(rng, len(visitor))[session] + _SECONDS_BETWEEN * (step + 0.5 * rng.random(len(step))),
        is_search=rng.random(len(session)) < _SEARCH_SHARE,
        intents=draw_intents(rng, shop, leaf, liking, person, shop.lifts[scene], day + 0.5),
    )


def _topics(
    rng: np.random.Generator, shop: DemoShop, liking: Liking, person: Rows, session: Rows, lift: FloatArray
) -> Codes:
    """The leaf of each request: mostly the topic of its session, sometimes another one."""
    fresh = draw_leaves(rng, shop, liking, person, lift)
    first_of_session = np.searchsorted(session, session)
    stays = rng.random(len(session)) < _STAYS_ON_TOPIC
    return np.where(stays, fresh[first_of_session], fresh)
