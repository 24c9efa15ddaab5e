"""Which ranker, and which weights of the tasks, order the validation lists best."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shopfuse.ranking.tensors import TASKS
from shopfuse.training.ranker_data import GAIN, RankerData, batch_of, batches
from shopfuse.training.snapshot import ItemVectors
from shopfuse.training.task_logits import TRAINED_TASKS

K = 10
CART_WEIGHTS, PURCHASE_WEIGHTS = (0.0, 1.0, 3.0), (0.0, 1.0, 3.0)  # beside a weight of 1 for a click
USUAL = (1.0, 1.0)  # carts and purchases follow what is really wanted; clicks alone reward what is merely seen
LEAST_GAIN = 0.01  # of NDCG; a smaller difference on some hundred lists is chance


@torch.no_grad()
def list_probabilities(
    ranker: nn.Module, data: RankerData, items: ItemVectors, chosen: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The task probabilities of the candidates of these lists, [n, L, T]."""
    blocks = [np.zeros((0, data.lists.rows.shape[1], len(TASKS)), np.float32)]
    for part in batches(len(chosen), 256):
        batch = batch_of(data, items, chosen[part])
        tasks, _ = ranker(*batch.inputs)
        blocks.append(tasks.numpy())
    return np.concatenate(blocks)


def list_ndcg(data: RankerData, chosen: NDArray[np.int64], scores: NDArray[np.float32]) -> float:
    """Mean NDCG@10 of the lists [n, L] by their outcomes; what was recalled and not shown counts as not wanted."""
    lists = data.lists.take(chosen)
    gains = np.exp2(GAIN[lists.outcome]) - 1.0
    order = np.argsort(-np.where(lists.rows >= 0, scores, -np.inf), axis=1, kind="stable")[:, :K]
    discount = 1.0 / np.log2(np.arange(order.shape[1]) + 2.0)
    got = (np.take_along_axis(gains, order, 1) * discount).sum(1)
    best = (-np.sort(-gains, axis=1)[:, :K] * discount).sum(1)
    return float((got / np.maximum(best, 1e-9)).mean()) if len(got) else 0.0


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
