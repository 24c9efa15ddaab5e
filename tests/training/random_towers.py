"""A task for the towers of random data: small, with every kind of input there is."""

from __future__ import annotations

import numpy as np

from shopfuse.ranking.features import CONTEXT_FEATURES
from shopfuse.ranking.tensors import ATTRIBUTE_BUCKETS, ATTRIBUTES, D_IMAGE
from shopfuse.ranking.user_state import MAX_HISTORY
from shopfuse.training.data.event_log import Events
from shopfuse.training.data.user_histories import UserHistories, user_histories
from shopfuse.training.examples.clicks import OTHERS, TowerExamples
from shopfuse.training.examples.item_inputs import ItemInputs, item_inputs
from shopfuse.training.examples.next_items import windows_before, windows_since
from shopfuse.training.examples.user_inputs import UserInputs
from shopfuse.training.trainers.tower_task import TowerTask, TowerTraining

ITEMS, CLICKS, QUERIES, TEXT = 120, 450, 20, 16
SETTINGS = TowerTraining(
    batch=64,
    windows=16,
    compared=32,
    places=1000,
    negatives=32,
    epochs=2,
    refresh_steps=3,
    drop_history=0.2,
    dropout=0.0,  # drawn by each process for itself
    noise=0.1,
)
USERS, EVENTS = 40, 800
CUT = 0.9 * EVENTS


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


def histories(rng: np.random.Generator) -> UserHistories:
    """Of USERS users, an event at each moment from 0 on."""
    events = Events(
        at=np.arange(EVENTS, dtype=np.float64),
        kind=rng.integers(1, 5, EVENTS).astype(np.int8),
        row=(rng.integers(0, ITEMS, EVENTS) // 3).astype(np.int32),
        user=rng.integers(0, USERS, EVENTS).astype(np.int32),
        session=np.arange(EVENTS, dtype=np.int32),
        request=np.full(EVENTS, -1, np.int32),
        position=np.full(EVENTS, -1, np.int16),
        scene=np.full(EVENTS, -1, np.int8),
    )
    return user_histories(events, USERS)


def random_task() -> TowerTask:
    rng = np.random.default_rng(3)
    past = histories(rng)
    return TowerTask(
        examples=clicks(rng),
        windows=windows_before(past, CUT, 1000),
        later=windows_since(past, CUT, np.inf, 1000),
        inputs=catalogue(rng),
        query_vectors=rng.standard_normal((QUERIES, TEXT)).astype(np.float32),
        exposure=rng.random(ITEMS).astype(np.float32),
        start=np.zeros((ITEMS, 64), np.float32),
        product=np.arange(ITEMS, dtype=np.int32),
        seed=1,
        settings=SETTINGS,
    )
