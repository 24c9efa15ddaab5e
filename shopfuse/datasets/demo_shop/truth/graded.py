"""The true relevance at the end of the period: fresh searches and shoppers, and how much they want each item.

Grades 1 to 3 go to the most wanted few products; everything unlisted is 0. A product is wanted as its best variant is,
and each of its variants that answers has its grade: a list is worth what its products are, each counted once. Nothing
drawn here touches the events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.behaviour.event_rows import user_ids
from shopfuse.datasets.demo_shop.behaviour.intents import (
    UNSAID,
    Intents,
    draw_intents,
    draw_leaves,
    meets_category,
    meets_wishes,
)
from shopfuse.datasets.demo_shop.behaviour.queries import query_texts
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.period import SCENES
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.tastes import Liking, Rows, utility, wanted
from shopfuse.datasets.demo_shop.world.world import DemoShop

EVALUATED = 300  # searches, and as many shoppers
_SCENE_SHARES = (0.7, 0.15, 0.15)
_NEWCOMERS = 0.3  # share of the evaluated shoppers drawn without regard to their activity: many have little history
_MOST = 60  # relevant items of a search or a shopper
_SEARCH_SHARE, _CATALOGUE_SHARE = 0.5, 0.02  # of the matching items, and of the catalogue
_SECOND_SHARE, _THIRD_SHARE = 0.35, 0.12  # of the relevant items: grade 2 or more, and grade 3


@dataclass(frozen=True, slots=True)
class GradedList:
    """One evaluated search or shopper, with every item of grade > 0, best first."""

    asker: int  # row in `people` of its Truth
    scene: int
    items: Rows
    grades: NDArray[np.int8]
    query: str | None = None
    intent: int = UNSAID  # row in `intents` of its Truth


@dataclass(frozen=True, slots=True)
class Truth:
    """The evaluated searches or shoppers: `people` are rows of the shop's users, `liking` their tastes at the end."""

    people: Rows
    liking: Liking
    intents: Intents | None
    judged: list[GradedList]


def _askers(rng: np.random.Generator, shop: DemoShop, count: int) -> Rows:
    """Shoppers, mostly in proportion to their activity."""
    share = shop.users.activity.astype(np.float64)
    regulars = rng.choice(len(share), size=count, p=share / share.sum())
    return np.where(rng.random(count) < _NEWCOMERS, rng.integers(0, len(share), count), regulars)


def graded(attraction: FloatArray, candidates: Rows, share: float) -> tuple[Rows, NDArray[np.int8]]:
    """The most wanted `share` of the candidates, at least 5 and at most _MOST, with their grades."""
    relevant = min(len(candidates), max(5, min(_MOST, round(share * len(candidates)))))
    best = np.argpartition(-attraction, relevant - 1)[:relevant]
    best = best[np.argsort(-attraction[best], kind="stable")]
    place = np.arange(relevant)
    grades = 1 + (place < round(_SECOND_SHARE * relevant)) + (place < max(1, round(_THIRD_SHARE * relevant)))
    return candidates[best], grades.astype(np.int8)


def graded_products(
    shop: DemoShop, attraction: FloatArray, candidates: Rows, share: float
) -> tuple[Rows, NDArray[np.int8]]:
    """The most wanted `share` of the candidates' products, as `graded` has it: all their candidates, with their grades.
    Candidates [n] ascend."""
    products, of = np.unique(shop.items.product[candidates], return_inverse=True)
    best = np.full(len(products), -np.inf, np.float32)
    np.maximum.at(best, of, attraction)
    chosen, grades = graded(best, np.arange(len(products)), share)
    place = np.full(len(products), -1)
    place[chosen] = np.arange(len(chosen))
    listed = np.flatnonzero(place[of] >= 0)
    listed = listed[np.argsort(place[of][listed], kind="stable")]
    return candidates[listed], grades[place[of][listed]]


def search_truth(shop: DemoShop) -> Truth:
    """About EVALUATED searches with at least 5 answers: items of the category meant that fulfil every stated wish."""
    rng = stream(shop.seed, "truth", 0)
    people = _askers(rng, shop, 3 * EVALUATED)
    rows = np.arange(len(people))
    liking = shop.liking(people, 1.0)
    scenes = rng.choice(len(SCENES), size=len(people), p=_SCENE_SHARES)
    leaf = draw_leaves(rng, shop, liking, rows, shop.lifts[scenes])
    intents = draw_intents(rng, shop, leaf, liking, rows, np.zeros(len(shop.leaves), np.float32), shop.period.days)
    queries = query_texts(rng, shop, intents)
    judged: dict[tuple[str, int, int], GradedList] = {}
    for row in range(len(people)):
        answers = _answers(shop, intents.take(np.array([row])))
        key = (queries[row], int(people[row]), int(scenes[row]))
        if len(np.unique(shop.items.product[answers])) >= 5 and key not in judged and len(judged) < EVALUATED:
            liked = wanted(utility(liking, np.array(row), shop.items, answers, shop.lifts[scenes[row]]))
            judged[key] = GradedList(
                row, int(scenes[row]), *graded_products(shop, liked, answers, _SEARCH_SHARE), queries[row], row
            )
    return Truth(people, liking, intents, list(judged.values()))


def _answers(shop: DemoShop, intent: Intents) -> Rows:
    """The items that can be bought and fulfil one intent."""
    first, last = shop.shelves.in_group(intent.group)
    shelf = np.sort(shop.shelves.order[first[0] : last[0]])
    met = meets_category(shop, intent, shelf[None]) & meets_wishes(shop.items, intent, shelf[None])
    answers: Rows = shelf[met[0] & shop.items.available[shelf]]
    return answers


def recommend_truth(shop: DemoShop, bought: dict[int, set[int]]) -> Truth:
    """About EVALUATED shoppers and what they want most, less what they have `bought` (user row -> item rows)."""
    rng = stream(shop.seed, "truth", 1)
    people = np.unique(_askers(rng, shop, 2 * EVALUATED))
    people = np.sort(rng.permutation(people)[:EVALUATED])
    liking = shop.liking(people, 1.0)
    scenes = rng.choice(len(SCENES), size=len(people), p=_SCENE_SHARES)
    judged = []
    for row, user in enumerate(people.tolist()):
        open_to = shop.items.available.copy()
        open_to &= ~np.isin(shop.items.product, shop.items.product[list(bought.get(user, ()))])
        candidates = np.flatnonzero(open_to)
        liked = wanted(utility(liking, np.array(row), shop.items, candidates, shop.lifts[scenes[row]]))
        judged.append(GradedList(row, int(scenes[row]), *graded_products(shop, liked, candidates, _CATALOGUE_SHARE)))
    return Truth(people, liking, None, judged)


def judgement_rows(shop: DemoShop, truth: Truth, item_ids: pl.Series) -> pl.DataFrame:
    """The truth as the rows of a judgements file: [query,] user_id, item_id, grade, scene."""
    counts = [len(judged.items) for judged in truth.judged]
    users = np.array([truth.people[judged.asker] for judged in truth.judged])
    each = np.repeat(np.arange(len(counts)), counts)
    scenes = [SCENES[judged.scene] or None for judged in truth.judged]
    queries = [judged.query for judged in truth.judged]
    frame = pl.DataFrame(
        {
            "query": pl.Series(queries, dtype=pl.String).gather(each),
            "user_id": user_ids(users, len(shop.users)).gather(each),
            "item_id": item_ids.gather(np.concatenate([judged.items for judged in truth.judged])),
            "grade": np.concatenate([judged.grades for judged in truth.judged]).astype(np.int32),
            "scene": pl.Series(scenes, dtype=pl.String).gather(each),
        }
    )
    return frame if truth.intents is not None else frame.drop("query")
