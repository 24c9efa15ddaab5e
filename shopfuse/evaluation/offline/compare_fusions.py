"""Every fusion method on one shop: trained on the older lists, judged on newer ones that nothing was chosen on.

Towers, indexes and lists are made once and shared: the methods differ in nothing else. Where the true relevance is
known (a simulated shop) each method also ranks its cases. Nothing is saved, printed or served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.demo_rankers import rows_of_rankers
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.data.cut import cut_moment, enough_to_train
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.data.snapshot import ItemVectors
from shopfuse.training.examples.ranker_data import RankerData, labels_of
from shopfuse.training.fusion.ranker import METHODS
from shopfuse.training.fusion.task_logits import TRAINED_TASKS, task_probabilities
from shopfuse.training.trainers.ranker import split_lists
from shopfuse.training.trainers.ranker_calibration import seen_logits
from shopfuse.training.trainers.ranker_choice import Fused, fuse_all, list_ndcgs, list_probabilities, score_of
from shopfuse.training.trainers.shop import (
    encode_queries,
    lists_after,
    logged_lists,
    shop_data,
    shop_models,
    train_content,
)

EncodeTexts = Callable[[list[str]], NDArray[np.float32]]
TEST_SHARE = 0.2  # of the lists, the newest: judged, never learned from or chosen on
FEWEST_LISTS = 50


@dataclass(frozen=True, slots=True)
class JudgedImpressions:
    """What a method says of the held-out impressions [n]; row-aligned between the methods of one shop."""

    list_of: NDArray[np.int64]  # [n] which list an impression belongs to, 0, 1, 2...
    weight: NDArray[np.float64]  # [n] how many requests its list stands for
    outcome: NDArray[np.bool_]  # [n, 3] of TRAINED_TASKS
    scores: NDArray[np.float64]  # [n, 3] what the method orders by, whatever the slot: probabilities or its relevance
    probabilities: NDArray[np.float64] | None  # [n, 3] at the slot where it was shown; None for a relevance


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method on one shop."""

    truth: Mapping[str, NDArray[np.float64]]  # surface -> NDCG@10 of each case; empty where no truth is known
    lists: NDArray[np.float64]  # NDCG@10 of each held-out list with a click, by its outcomes
    judged: JudgedImpressions
    tasks: dict[str, float]  # weight of each task in the score
    validation_ndcg: float
    metrics: dict[str, Any]


def compare_fusions(
    workspace: Workspace,
    text_vectors: NDArray[np.float32],
    encode_texts: EncodeTexts,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, MethodResult]:
    """Results by method, in the order of METHODS. ShopfuseError where the events are too few to learn from."""
    images = workspace.images().select("item_id").collect()["item_id"]
    catalogue = load_catalogue(workspace.items().collect(), images, workspace.settings.languages)
    log = load_event_log(workspace.events(), catalogue)
    if not enough_to_train(log):
        raise ShopfuseError(f"{workspace.root}: too few clicks to learn a fusion from; only score-level ones fit it")
    shop = shop_data(workspace, catalogue, log, text_vectors, encode_texts, seed, progress)
    cut, queries = cut_moment(log), encode_queries(shop)
    trained = train_content(shop, cut, queries)
    shop, lists = lists_after(shop, cut)
    logged = logged_lists(shop, cut, lists, queries, trained)
    older, newest = _split(logged.data, workspace)
    learned_from, heads = logged.data.take(older), trained.towers.heads
    settings = shop.settings.ranker
    fused = fuse_all(learned_from, logged.items, heads, tuple(METHODS), seed=seed, settings=settings, progress=progress)
    truth: dict[str, dict[str, NDArray[np.float64]]] = {}
    if workspace.paths.search_truth.is_file():
        models = shop_models(shop, trained, fused[next(iter(fused))], {}, len(older))
        rankers = {name: (method.ranker, method.tasks) for name, method in fused.items()}
        rows = rows_of_rankers(workspace, models, rankers, text_vectors, encode_texts, progress)
        truth = {row.name: {"search": row.search.values, "recommend": row.recommend.values} for row in rows}
    return {
        name: _result(method, truth.get(name, {}), logged.data, logged.items, newest) for name, method in fused.items()
    }


def _split(data: RankerData, workspace: Workspace) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the older lists, and of the newest as they were really shown (not replayed once more for an item)."""
    older, newest = split_lists(len(data), TEST_SHARE)
    newest = newest[data.lists.seed[newest] < 0]
    if len(newest) < FEWEST_LISTS:
        raise ShopfuseError(
            f"{workspace.root}: {len(newest)} held-out lists of impressions, expected {FEWEST_LISTS} or more"
        )
    return older, newest


def _result(
    fused: Fused,
    truth: Mapping[str, NDArray[np.float64]],
    data: RankerData,
    items: ItemVectors,
    chosen: NDArray[np.int64],
) -> MethodResult:
    served = list_probabilities(fused.ranker, data, items, chosen)
    ndcgs = list_ndcgs(data, chosen, score_of(served, fused.tasks))
    judged = judge(fused, served, data, items, chosen)
    return MethodResult(truth, ndcgs, judged, fused.tasks, fused.validation_ndcg, fused.metrics or {})


def judge(
    fused: Fused, served: NDArray[np.float32], data: RankerData, items: ItemVectors, chosen: NDArray[np.int64]
) -> JudgedImpressions:
    """`served` [n, L, T] are the probabilities of the lists `chosen`."""
    labels = labels_of(data.take(chosen))
    impression = labels.impression.numpy()
    probabilities = None
    if fused.positions is None:
        scores = np.repeat(score_of(served, fused.tasks)[..., None], len(TRAINED_TASKS), axis=-1)
    else:
        scores = served[..., : len(TRAINED_TASKS)]
        logits, _ = seen_logits(fused.ranker, fused.positions, data, items, chosen)
        probabilities = task_probabilities(logits).numpy()[..., : len(TRAINED_TASKS)][impression].astype(np.float64)
    outcome = np.stack([part.numpy() > 0 for part in (labels.clicked, labels.carted, labels.purchased)], axis=-1)
    list_of = np.broadcast_to(np.arange(len(impression))[:, None], impression.shape)[impression]
    weight = np.broadcast_to(labels.weight.numpy(), impression.shape)[impression].astype(np.float64)
    return JudgedImpressions(list_of, weight, outcome[impression], scores[impression].astype(np.float64), probabilities)
