"""What the shop shows: lists of twelve items from a plain logging policy that knows words and popularity but no looks.

About one slot in seven is filled at random, so that the log holds items which the policy would not have chosen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.behaviour.intents import UNSAID, draw_leaves, meets_category, meets_wishes
from shopfuse.datasets.demo_shop.behaviour.visits import DayRequests
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.tastes import Rows
from shopfuse.datasets.demo_shop.world.world import DemoShop

SLOTS = 12
_EXPLORED = 0.15
_ON_TOPIC, _NEARBY, _ANYWHERE = 64, 16, 16  # candidates of a search
_NOWHERE = np.float32(-1e9)


def draw_slates(rng: np.random.Generator, shop: DemoShop, requests: DayRequests) -> tuple[Rows, NDArray[np.bool_]]:
    """The items of the lists [requests, SLOTS] and which slots are filled; filled slots come first."""
    search = np.flatnonzero(requests.is_search)
    home = np.flatnonzero(~requests.is_search)
    slates = np.zeros((len(requests), SLOTS), np.intp)
    filled = np.zeros((len(requests), SLOTS), np.bool_)
    slates[search], filled[search] = _fill(rng, shop, requests.day, *_search_candidates(rng, shop, requests, search))
    slates[home], filled[home] = _fill(rng, shop, requests.day, *_home_candidates(rng, shop, requests, home))
    return slates, filled


def _search_candidates(
    rng: np.random.Generator, shop: DemoShop, requests: DayRequests, rows: Rows
) -> tuple[Rows, FloatArray]:
    """Candidates of searches and how well a word index likes them."""
    intents = requests.intents.take(rows)
    shelves = shop.shelves
    leaf = np.maximum(intents.leaf, 0)
    whole_group = intents.leaf == UNSAID
    leaf_first, leaf_last = shelves.in_leaf(leaf)
    group_first, group_last = shelves.in_group(intents.group)
    first, last = np.where(whole_group, group_first, leaf_first), np.where(whole_group, group_last, leaf_last)
    pool = np.concatenate(
        [
            shelves.draw(rng, first, last, _ON_TOPIC),
            shelves.draw(rng, group_first, group_last, _NEARBY),
            rng.integers(0, len(shop.items), (len(rows), _ANYWHERE)),
        ],
        axis=1,
    )
    score = 2.5 * meets_category(shop, intents, pool) + 1.5 * meets_wishes(shop.items, intents, pool, as_written=True)
    return pool, (score + rng.gumbel(size=pool.shape)).astype(np.float32)


def _home_candidates(
    rng: np.random.Generator, shop: DemoShop, requests: DayRequests, rows: Rows
) -> tuple[Rows, FloatArray]:
    """Candidates for the home page: what sells, what lies in the shopper's categories, and anything."""
    shelves = shop.shelves
    person = requests.person[rows]
    start, end = np.zeros(len(rows), np.intp), np.full(len(rows), len(shop.items))
    topics = [draw_leaves(rng, shop, requests.liking, person, requests.lift) for _ in range(4)]
    pool = np.concatenate(
        [
            shelves.draw(rng, start, end, 32),
            *(shelves.draw(rng, *shelves.in_leaf(topic), 12) for topic in topics),
            rng.integers(0, len(shop.items), (len(rows), _ANYWHERE)),
        ],
        axis=1,
    )
    score = 0.5 * requests.liking.tables["leaf"][person[:, None], shop.items.leaf[pool]]
    return pool, (score + rng.gumbel(size=pool.shape)).astype(np.float32)


def _fill(
    rng: np.random.Generator, shop: DemoShop, day: int, pool: Rows, score: FloatArray
) -> tuple[Rows, NDArray[np.bool_]]:
    """The best items that exist on this day, a product once, with explored ones at random places among them."""
    rows, product = np.arange(len(pool))[:, None], shop.items.product[pool]
    by_product = np.argsort(product, axis=1, kind="stable")
    repeated = np.zeros(pool.shape, np.bool_)
    repeated[rows, by_product[:, 1:]] = product[rows, by_product[:, 1:]] == product[rows, by_product[:, :-1]]
    hidden = repeated | (shop.items.published_day[pool] > day) | ~shop.items.available[pool]
    explored = rng.random(pool.shape) < _EXPLORED * SLOTS / pool.shape[1]
    key = np.where(hidden, _NOWHERE, np.where(explored, score + 1e6, score))
    best = np.argsort(-key, axis=1, kind="stable")[:, :SLOTS]
    filled = key[rows, best] > _NOWHERE / 2
    place = np.where(filled, np.where(explored[rows, best], rng.random(best.shape), 0.0), 2.0)
    place += np.where(filled & ~explored[rows, best], np.arange(SLOTS) / SLOTS, 0.0)
    order = np.argsort(place, axis=1, kind="stable")
    return pool[rows, best[rows, order]], filled[rows, order]
