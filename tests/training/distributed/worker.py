"""One of several processes that the tests start: trains towers on random data, alone or with others.

`python -m tests.training.distributed.worker OUT [die]`: the leader writes the towers' vectors to OUT; with `die` the
last rank leaves in the middle of the training.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.features import CONTEXT_FEATURES
from shopfuse.ranking.tensors import ATTRIBUTE_BUCKETS, ATTRIBUTES, D_IMAGE
from shopfuse.ranking.user_state import MAX_HISTORY
from shopfuse.training.distributed import process_group
from shopfuse.training.examples.clicks import OTHERS, TowerExamples
from shopfuse.training.examples.item_inputs import ItemInputs, encode_items, item_inputs
from shopfuse.training.examples.user_inputs import UserInputs
from shopfuse.training.trainers import towers as train_towers
from shopfuse.training.trainers.leader import leading
from shopfuse.training.trainers.towers import TowerTraining

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


def random_task() -> train_towers.TowerTask:
    rng = np.random.default_rng(3)
    inputs, examples = catalogue(rng), clicks(rng)
    queries, exposure = rng.standard_normal((QUERIES, TEXT)).astype(np.float32), rng.random(ITEMS).astype(np.float32)
    return train_towers.TowerTask(examples, inputs, queries, exposure, 1, SETTINGS)


def train() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The item vectors of the trained towers, and the metrics."""
    task = random_task()
    towers, metrics = train_towers.train_towers(task)
    vectors, tokens = encode_items(towers.item, task.inputs)
    return {"vectors": torch.from_numpy(vectors), "tokens": torch.from_numpy(tokens)}, metrics


def leave_after(steps: int) -> None:
    """This process ends without a word in the step after so many."""
    original, left = process_group.shard, iter(range(steps))

    def shard(count: int) -> slice:
        if next(left, None) is None:
            os._exit(9)
        return original(count)

    mock.patch.object(process_group, "shard", shard).start()


def main(out: Path, dies: bool) -> None:
    torch.set_num_threads(1)
    if dies and os.environ["RANK"] == "1":
        leave_after(3)
    with leading() as leads:
        if not leads:
            return
        tensors, metrics = train()
        assert process_group.world_size() == int(os.environ["WORLD_SIZE"])
    save_file(tensors, out, {"history": str(metrics["tower_history"])})


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), "die" in sys.argv[2:])
    except ShopfuseError as error:
        sys.exit(f"error: {error}")
