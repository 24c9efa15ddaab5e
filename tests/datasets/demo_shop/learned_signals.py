"""Small models of clicks that learn from the demo shop's log alone: logistic regressions on a dozen features.

They are there to show what the log gives away. The real towers and rankers are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.behaviour.reactions import DayLog
from shopfuse.datasets.demo_shop.truth.graded import GradedList, Truth
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.tastes import Rows
from shopfuse.datasets.demo_shop.world.world import DemoShop
from tests.datasets.demo_shop.click_memory import Memory, Seen, flatten, met, remember

TEXT = ("category met", "wishes met", "leaf", "material", "brand", "price_level", "scene")
IMAGE = ("looks met", "colour", "pattern", "style")
BEHAVIOUR = ("click rate", "co-clicks")
FEATURES = (*TEXT, *IMAGE, *BEHAVIOUR)
_EARLY = 0.6  # share of the days whose clicks make the features that explain the clicks of the others


@dataclass(frozen=True, slots=True)
class LearnedSignals:
    """What the log teaches; any set of features can be asked for."""

    shop: DemoShop
    memory: Memory  # of all days, for scoring
    popularity: FloatArray  # clicks of each item
    late: Seen  # the rows to explain
    table: FloatArray  # their features, from the memory of the early days: [rows, FEATURES]

    def scorer(self, features: Sequence[str]) -> Callable[[Truth, GradedList, Rows], FloatArray]:
        """Scores items for a judged search or shopper with these features alone."""
        columns = [FEATURES.index(name) for name in features]
        weights = {is_search: self._fit(columns, is_search) for is_search in (True, False)}

        def score(truth: Truth, judged: GradedList, items: Rows) -> FloatArray:
            user = np.full(len(items), truth.people[judged.asker])
            matches = np.zeros((len(items), 3), np.float32)
            if truth.intents is not None:
                matches = met(self.shop, truth.intents.take(np.array([judged.intent])), items[None])[0]
            scene = np.full(len(items), judged.scene)
            table = _features(self.shop, self.memory, user, items, matches, scene)[:, columns]
            scores: FloatArray = table @ weights[truth.intents is not None]
            return scores

        return score

    def _fit(self, columns: list[int], is_search: bool) -> FloatArray:
        """Weights of these columns for searches or for the home page."""
        rows = self.late.is_search == is_search
        place = np.log1p(self.late.slot[rows])[:, None].astype(np.float32)  # explains position, dropped when scoring
        table = np.concatenate([self.table[rows][:, columns], place], axis=1)
        return _logistic(table, self.late.clicked[rows])[: len(columns)]


def learn_signals(shop: DemoShop, logs: list[DayLog]) -> LearnedSignals:
    """The early days make the features that explain the clicks of the late ones; all days make the final memory."""
    seen = flatten(shop, logs)
    split = int(_EARLY * shop.period.days)
    early, late = seen.where(seen.day < split), seen.where(seen.day >= split)
    table = _features(shop, remember(shop, early), late.user, late.item, late.met, late.scene)
    popularity = np.bincount(seen.item[seen.clicked], minlength=len(shop.items)).astype(np.float32)
    return LearnedSignals(shop, remember(shop, seen), popularity, late, table)


def _features(shop: DemoShop, memory: Memory, user: Rows, item: Rows, matches: FloatArray, scene: Rows) -> FloatArray:
    """One row for each pair of user and item, one column for each name in FEATURES."""
    affinity = {part: memory.affinities[part][user, getattr(shop.items, part)[item]] for part in memory.affinities}
    people, person = np.unique(user, return_inverse=True)
    history = memory.clicks[people]
    near = np.log1p(history @ memory.co_clicks)[person, item]
    columns = {
        "category met": matches[:, 0],
        "wishes met": matches[:, 1],
        "looks met": matches[:, 2],
        "click rate": memory.click_rate[item],
        "co-clicks": near,
        "scene": memory.scene_lift[scene, shop.items.leaf[item]],
        **affinity,
    }
    return np.asarray(np.stack([columns[name] for name in FEATURES], axis=1), np.float32)


def _logistic(table: FloatArray, hit: NDArray[np.bool_]) -> FloatArray:
    """Weights of a logistic regression by Newton's method, with a little ridge, without the intercept."""
    x = np.concatenate([table, np.ones((len(table), 1), np.float32)], axis=1).astype(np.float64)
    weights = np.zeros(x.shape[1])
    for _ in range(12):
        chance = 1.0 / (1.0 + np.exp(-(x @ weights)))
        slope = x.T @ (hit - chance) - weights
        curve = (x * (chance * (1 - chance))[:, None]).T @ x + np.eye(x.shape[1])
        weights += np.linalg.solve(curve, slope)
    learned: FloatArray = weights[:-1].astype(np.float32)
    return learned
