"""Trains the fusion methods that are to be compared, and chooses among them on validation lists.

Beside the methods stand simple rows, each one channel alone: what is popular, what goes with what the user had, what
the user had before. A shop whose events teach no more than that is served that.
The newest lists stop the training, set the calibration and the tasks' weights, and choose the method: what they say of
the chosen one is therefore a little too good. `shopfuse evaluate recommend` and `shopfuse evaluate fusion` measure on
what came after.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shopfuse.core.progress import Progress, silent
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.ranking.fusion import FUSION_METHODS, PLAIN
from shopfuse.ranking.tensors import TASKS
from shopfuse.training.checkpoints.shop_models import RELEVANCE_ONLY
from shopfuse.training.data.snapshot import ItemVectors
from shopfuse.training.distributed.devices import device_of
from shopfuse.training.examples.ranker_data import GAIN, RankerData, batch_of, batches
from shopfuse.training.fusion.moe import usage
from shopfuse.training.fusion.ranker import METHODS, FusionRanker
from shopfuse.training.fusion.score_level import ScoreFusion
from shopfuse.training.fusion.task_logits import TRAINED_TASKS
from shopfuse.training.trainers.position_term import PositionTerm
from shopfuse.training.trainers.ranker import RankerTraining, split_lists, train_ranker
from shopfuse.training.trainers.ranker_calibration import calibrate
from shopfuse.training.trainers.stacking import train_stacking
from shopfuse.training.trainers.tower_losses import TowerHeads

AUTO = "auto"
FUSIONS = (AUTO, *METHODS)
K = 10
CART_WEIGHTS, PURCHASE_WEIGHTS = (0.0, 1.0, 3.0), (0.0, 1.0, 3.0)  # beside a weight of 1 for a click
USUAL = (1.0, 1.0)  # carts and purchases follow what is really wanted; clicks alone reward what is merely seen
LEAST_GAIN = 0.01  # of NDCG; a smaller difference on some hundred lists is chance
# Rows of one channel, which a learned method must beat; popularity decides where the channel does not.
SIMPLE = {"popularity": "popular", "item_knn": "co_visit", "same_users": "neighbours", "buy_again": "again"}
_BESIDE = 0.01


@dataclass(frozen=True, slots=True)
class Fused:
    """One way to rank, ready to serve. `positions` is what a slot did to clicks, None where nothing was learned."""

    name: str  # of the method, or of the simple row
    ranker: FusionRanker
    tasks: dict[str, float]  # weight of each task in the score
    validation_ndcg: float
    positions: PositionTerm | None = None
    metrics: dict[str, Any] | None = None
    ranks_similar: bool = True  # else similar items are ordered by PLAIN

    @property
    def method(self) -> str:
        return self.ranker.method


def choose_ranker(
    data: RankerData,
    items: ItemVectors,
    heads: TowerHeads,
    fusion: str,
    *,
    seed: int,
    settings: RankerTraining | None = None,
    progress: Progress = silent,
) -> tuple[Fused, dict[str, Any]]:
    """(the method called `fusion`, or for "auto" the best of all, metrics). `data` must be sorted by time.

    A learned method is adopted by "auto" only where it orders the validation lists better than every plain one.
    """
    methods = tuple(METHODS) if fusion == AUTO else tuple(dict.fromkeys((PLAIN, fusion)))
    _, validation = split_lists(len(data))
    simple = {name: _simple(data, items, name, validation) for name in SIMPLE}
    fused = fuse_all(data, items, heads, methods, seed=seed, settings=settings, progress=progress) | simple
    reached = {name: one.validation_ndcg for name, one in fused.items()}
    metrics = {name: value for one in fused.values() for name, value in (one.metrics or {}).items()}
    chosen = fused[max(fused, key=lambda name: reached[name]) if fusion == AUTO else fusion]
    similar = similar_lead(chosen, data, items, validation)
    metrics |= {"validation_ndcg": reached, "adopted": chosen.name, "similar_lead": similar}
    return replace(chosen, ranks_similar=chosen.method in FUSION_METHODS or similar["low"] > 0), metrics


def similar_lead(fused: Fused, data: RankerData, items: ItemVectors, chosen: NDArray[np.int64]) -> dict[str, float]:
    """By how much NDCG@10 the method leads PLAIN on those of the lists that are of similar items, and the interval."""
    places = chosen[data.lists.seed[chosen] >= 0]
    ways = ((fused.ranker, fused.tasks), (FusionRanker(PLAIN).eval(), RELEVANCE_ONLY))
    learned, plain = (
        list_ndcgs(data, places, score_of(list_probabilities(ranker, data, items, places), tasks))
        for ranker, tasks in ways
    )
    leads = learned - plain
    low, high = bootstrap_interval(leads)
    return {"lists": len(leads), "lead": float(leads.mean()) if len(leads) else 0.0, "low": low, "high": high}


def choose_untrained(data: RankerData, items: ItemVectors, fusion: str) -> tuple[Fused, dict[str, Any]]:
    """Of what learns nothing the method called `fusion`, or for "auto" what orders these lists best; and metrics."""
    every = np.arange(len(data))
    methods = FUSION_METHODS if fusion == AUTO else (fusion,)
    rows = [_plain(data, items, method, every) for method in methods]
    rows += [_simple(data, items, name, every) for name in SIMPLE]
    reached = {row.name: row.validation_ndcg for row in rows}
    chosen = max(rows, key=lambda row: row.validation_ndcg) if fusion == AUTO else rows[0]
    return chosen, {"validation_ndcg": reached, "adopted": chosen.name}


def without_training(fusion: str) -> Fused:
    """The score-level method `fusion`, or the one that stands in for a learned one."""
    method = fusion if fusion in FUSION_METHODS else PLAIN
    return Fused(method, FusionRanker(method).eval(), dict(RELEVANCE_ONLY), 0.0)


def fuse_all(
    data: RankerData,
    items: ItemVectors,
    heads: TowerHeads,
    methods: Sequence[str],
    *,
    seed: int,
    settings: RankerTraining | None = None,
    progress: Progress = silent,
) -> dict[str, Fused]:
    """Every method, trained where it learns; plain ones first, so that a tie goes to what needs no training."""
    fused, (_, validation) = {}, split_lists(len(data))
    for method in sorted(methods, key=list(METHODS).index):
        if method in FUSION_METHODS:
            fused[method] = _plain(data, items, method, validation)
        else:
            fused[method] = _learned(data, items, heads, method, seed, settings, progress)
    return fused


def _simple(data: RankerData, items: ItemVectors, name: str, chosen: NDArray[np.int64]) -> Fused:
    ranker = FusionRanker(PLAIN)
    cast(ScoreFusion, ranker.fusion).recommend_by({"popular": _BESIDE} | {SIMPLE[name]: 1.0})
    return _measured(data, items, name, ranker, chosen)


def _plain(data: RankerData, items: ItemVectors, method: str, chosen: NDArray[np.int64]) -> Fused:
    return _measured(data, items, method, FusionRanker(method), chosen)


def _measured(
    data: RankerData, items: ItemVectors, name: str, ranker: FusionRanker, chosen: NDArray[np.int64]
) -> Fused:
    """What learned nothing, and how it orders the lists `chosen`."""
    scores = score_of(list_probabilities(ranker.eval(), data, items, chosen), RELEVANCE_ONLY)
    return Fused(name, ranker, dict(RELEVANCE_ONLY), list_ndcg(data, chosen, scores))


def _learned(
    data: RankerData,
    items: ItemVectors,
    heads: TowerHeads,
    method: str,
    seed: int,
    settings: RankerTraining | None,
    progress: Progress,
) -> Fused:
    if method == "stacking":
        ranker, positions, metrics = train_stacking(data, items, seed=seed, progress=progress)
    else:
        ranker, positions, metrics = train_ranker(
            method, data, items, heads, seed=seed, settings=settings, progress=progress
        )
    _, validation = split_lists(len(data))
    if method == "moe":
        metrics["moe_gate_usage"] = gate_usage(ranker, data, items, validation)
    if not data.lists.shown.any():
        ranker.report_relevance()
        scores = score_of(list_probabilities(ranker, data, items, validation), RELEVANCE_ONLY)
        return Fused(method, ranker, dict(RELEVANCE_ONLY), list_ndcg(data, validation, scores), None, metrics)
    metrics[f"{method}_calibration"] = calibrate(ranker, positions, data, items, validation)
    metrics[f"{method}_position_term"] = positions.learned()
    tasks, reached = choose_tasks(ranker, data, items, validation)
    return Fused(method, ranker, tasks, reached, positions, metrics)


@torch.no_grad()
def gate_usage(
    ranker: FusionRanker, data: RankerData, items: ItemVectors, chosen: NDArray[np.int64]
) -> dict[str, list[float]]:
    """The mean share of each expert by task, over the candidates of these lists."""
    batch = batch_of(data, items, chosen).to(device_of(ranker))
    gates = ranker.logits(batch.inputs).gates
    assert gates is not None
    shares = usage(gates, batch.labels.valid)
    return {task: [round(float(share), 4) for share in row] for task, row in zip(TRAINED_TASKS, shares, strict=True)}


@torch.no_grad()
def list_probabilities(
    ranker: nn.Module, data: RankerData, items: ItemVectors, chosen: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The task probabilities of the candidates of these lists, [n, L, T]."""
    blocks, device = [np.zeros((0, data.lists.rows.shape[1], len(TASKS)), np.float32)], device_of(ranker)
    for part in batches(len(chosen), 256):
        tasks, _ = ranker(*batch_of(data, items, chosen[part]).inputs.to(device))
        blocks.append(tasks.cpu().numpy())
    return np.concatenate(blocks)


def list_ndcg(data: RankerData, chosen: NDArray[np.int64], scores: NDArray[np.float32]) -> float:
    """Mean NDCG@10 of the lists [n, L] by their outcomes; what was recalled and not shown counts as not wanted."""
    values = list_ndcgs(data, chosen, scores)
    return float(values.mean()) if len(values) else 0.0


def list_ndcgs(data: RankerData, chosen: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """NDCG@10 of each list with a gain at all; among equal scores what is wanted comes last."""
    lists = data.lists.take(chosen)
    gains = np.exp2(GAIN[lists.outcome].astype(np.float64)) - 1.0
    order = np.lexsort((gains, -np.where(lists.rows >= 0, scores, -np.inf)), axis=1)[:, :K]
    discount = 1.0 / np.log2(np.arange(order.shape[1]) + 2.0)
    got = (np.take_along_axis(gains, order, 1) * discount).sum(1)
    best = (-np.sort(-gains, axis=1)[:, :K] * discount).sum(1)
    ndcgs: NDArray[np.float64] = got[best > 0] / best[best > 0]
    return ndcgs


def choose_tasks(
    ranker: nn.Module, data: RankerData, items: ItemVectors, chosen: NDArray[np.int64]
) -> tuple[dict[str, float], float]:
    """The weights of click, cart and purchase, and the NDCG that they reach on these lists.

    The usual ones, unless others are better beyond chance.
    """
    probabilities = list_probabilities(ranker, data, items, chosen)
    tried = {
        (cart, purchase): list_ndcg(data, chosen, score_of(probabilities, _weights(cart, purchase)))
        for cart, purchase in itertools.product(CART_WEIGHTS, PURCHASE_WEIGHTS)
    }
    best = max(tried, key=lambda pair: tried[pair])
    kept = best if tried[best] > tried[USUAL] + LEAST_GAIN else USUAL
    return _weights(*kept), tried[kept]


def _weights(cart: float, purchase: float) -> dict[str, float]:
    return dict(zip(TRAINED_TASKS, (1.0, cart, purchase), strict=True))


def score_of(probabilities: NDArray[np.float32], tasks: dict[str, float]) -> NDArray[np.float32]:
    """The weighted sum over the tasks, [n, L]."""
    scores: NDArray[np.float32] = probabilities @ np.array([tasks.get(task, 0.0) for task in TASKS], np.float32)
    return scores
