"""What each modality of the demo shop is worth: oracles and simple models, each with one taken away, against the truth.

The oracles know the true tastes; the models learn from the log alone and show that the signals can be found in it. No
torch and no encoders: facts about the items stand in for what a text or an image encoder would see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.behaviour.intents import meets_category, meets_wishes
from shopfuse.datasets.demo_shop.behaviour.reactions import simulate_day
from shopfuse.datasets.demo_shop.shop import note_purchases
from shopfuse.datasets.demo_shop.truth.graded import GradedList, Truth, recommend_truth, search_truth
from shopfuse.datasets.demo_shop.world.appearance import FloatArray
from shopfuse.datasets.demo_shop.world.tastes import ALL_PARTS, BEHAVIOUR_PARTS, IMAGE_PARTS, TEXT_PARTS, Rows, utility
from shopfuse.datasets.demo_shop.world.world import DemoShop
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.metrics.ndcg import ndcg
from tests.datasets.demo_shop.learned_signals import BEHAVIOUR, IMAGE, TEXT, LearnedSignals, learn_signals

Scorer = Callable[[Truth, GradedList, Rows], FloatArray]  # scores of the candidate items
_MATCHES = np.float32(100.0)  # larger than any utility: what matches comes first


def signal_report(shop: DemoShop) -> pl.DataFrame:
    """NDCG@10 against the truth, one row for each oracle or model.

    Columns: row, then for search and recommend the mean and the bounds of its 95 % interval (search_low, search_high).
    """
    logs = [simulate_day(shop, day) for day in range(shop.period.days)]
    bought: dict[int, set[int]] = {}
    for log in logs:
        note_purchases(log, bought)
    truths = {"search": search_truth(shop), "recommend": recommend_truth(shop, bought)}
    rows = []
    for name, scorer in _scorers(shop, learn_signals(shop, logs)).items():
        row: dict[str, str | float] = {"row": name}
        for task, truth in truths.items():
            values = _quality(shop, truth, scorer, bought)
            low, high = bootstrap_interval(values)
            row |= {task: float(values.mean()), f"{task}_low": low, f"{task}_high": high}
        rows.append(row)
    return pl.DataFrame(rows)


def _scorers(shop: DemoShop, learned: LearnedSignals) -> dict[str, Scorer]:
    everything = set(ALL_PARTS)
    models = {
        "learned: all": (*TEXT, *IMAGE, *BEHAVIOUR),
        "learned: without text": (*IMAGE, *BEHAVIOUR),
        "learned: without image": (*TEXT, *BEHAVIOUR),
        "learned: without behaviour": (*TEXT, *IMAGE),
        "learned: text alone": TEXT,
        "learned: image alone": IMAGE,
        "learned: behaviour alone": BEHAVIOUR,
    }
    return {
        "oracle: all": _oracle(shop, everything, words=True, looks=True),
        "oracle: without text": _oracle(shop, everything - {*TEXT_PARTS, "scene"}, words=False, looks=True),
        "oracle: without image": _oracle(shop, everything - {*IMAGE_PARTS}, words=True, looks=False),
        "oracle: without behaviour": _oracle(shop, everything - {*BEHAVIOUR_PARTS}, words=True, looks=True),
        "oracle: without tastes": _oracle(shop, {"quality", "scene"}, words=True, looks=True),
        "oracle: match alone": _oracle(shop, set(), words=True, looks=False),
        "popularity": lambda truth, judged, items: learned.popularity[items],
        **{name: learned.scorer(features) for name, features in models.items()},
    }


def _oracle(shop: DemoShop, parts: Iterable[str], *, words: bool, looks: bool) -> Scorer:
    """Scores by some parts of the true utility. `words`: knows what matches the query; `looks`: stated colours too."""

    def score(truth: Truth, judged: GradedList, items: Rows) -> FloatArray:
        scene = shop.lifts[judged.scene]
        total = utility(truth.liking, np.array(judged.asker), shop.items, items, scene, sorted(parts))
        if truth.intents is not None and words:
            intent = truth.intents.take(np.array([judged.intent]))
            category = meets_category(shop, intent, items[None])[0]
            wishes = meets_wishes(shop.items, intent, items[None], as_written=not looks)[0]
            total = total + _MATCHES * category.astype(np.float32) + _MATCHES * (category & wishes)
        return total

    return score


def _quality(shop: DemoShop, truth: Truth, scorer: Scorer, bought: dict[int, set[int]]) -> NDArray[np.float64]:
    """NDCG@10 of each judged search or shopper, over the whole catalogue; ties in an order that means nothing."""
    order = np.random.default_rng(0).permutation(len(shop.items))
    values = []
    for judged in truth.judged:
        skipped = set() if truth.intents is not None else bought.get(int(truth.people[judged.asker]), set())
        scores = scorer(truth, judged, order)
        ranking = [
            item for item in order[np.argsort(-scores, kind="stable")[: 10 + len(skipped)]] if item not in skipped
        ]
        grades = dict(zip(map(str, judged.items.tolist()), judged.grades.tolist(), strict=True))
        values.append(ndcg([str(item) for item in ranking], grades))
    return np.array(values)
