"""A task for the towers of random data: small, with every kind of input there is."""

from __future__ import annotations

import numpy as np

from shopfuse.ranking.features import CONTEXT_FEATURES
from shopfuse.ranking.tensors import ATTRIBUTE_BUCKETS, ATTRIBUTES, D_IMAGE
from shopfuse.ranking.user_state import MAX_HISTORY
from shopfuse.training.examples.clicks import OTHERS, TowerExamples
from shopfuse.training.examples.item_inputs import ItemInputs, item_inputs
from shopfuse.training.examples.user_inputs import UserInputs
from shopfuse.training.trainers.towers import TowerTask, TowerTraining

ITEMS, CLICKS, QUERIES, TEXT = 120, 450, 20, 16
SETTINGS = TowerTraining(batch=64, negatives=32, epochs=2, refresh_steps=3, drop_history=0.2, noise=0.1)


def catalogue(rng: np.random.Generator) -> ItemInputs:
    return item_inputs(
        rng.standard_normal((ITEMS, TEXT)).astype(np.float32),
        rng.integers(0, ATTRIBUTE_BUCKETS, (ITEMS, ATTRIBUTES)),
        rng.standard_normal((ITEMS, D_IMAGE)).astype(np.float32),
        rng.random(ITEMS) < 0.8,
        np.zeros((ITEMS, 64), np.float32),
        rng.random(ITEMS) < 0.7,
    )


def clicks(rng: np.random.Generator) -> TowerExamples:
    known = np.arange(MAX_HISTORY) >= rng.integers(0, MAX_HISTORY, (CLICKS, 1))
    users = UserInputs(
        rows=np.where(known, rng.integers(0, ITEMS, (CLICKS, MAX_HISTORY)), -1).astype(np.int32),
        events=np.where(known, rng.integers(1, 5, (CLICKS, MAX_HISTORY)), 0),
        gaps=np.where(known, rng.random((CLICKS, MAX_HISTORY)), 0.0).astype(np.float32),
        mask=known.astype(np.float32),
        context=rng.random((CLICKS, len(CONTEXT_FEATURES))).astype(np.float32),
    )
    return TowerExamples(
        item=(rng.integers(0, ITEMS, CLICKS) // 3).astype(np.int32),  # some are clicked more than others
        weight=rng.integers(1, 4, CLICKS).astype(np.float32),
        query=rng.integers(-1, QUERIES, CLICKS),
        position=rng.integers(0, 20, CLICKS).astype(np.int16),
        others=rng.integers(-1, ITEMS, (CLICKS, OTHERS)).astype(np.int32),
        other_positions=rng.integers(0, 20, (CLICKS, OTHERS)).astype(np.int16),
        users=users,
    )


def random_task() -> TowerTask:
    rng = np.random.default_rng(3)
    inputs, examples = catalogue(rng), clicks(rng)
    queries, exposure = rng.standard_normal((QUERIES, TEXT)).astype(np.float32), rng.random(ITEMS).astype(np.float32)
    return TowerTask(examples, inputs, queries, exposure, 1, SETTINGS)
