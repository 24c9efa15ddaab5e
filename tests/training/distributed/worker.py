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

import torch
from safetensors.torch import save_file

from shopfuse.core.errors import ShopfuseError
from shopfuse.training.distributed import process_group
from shopfuse.training.distributed.messages import leading
from shopfuse.training.examples.item_inputs import encode_items
from shopfuse.training.trainers.towers import TRAININGS, train_towers
from tests.training.random_towers import random_task


def train() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The item vectors of the trained towers, and the metrics."""
    task = random_task()
    towers, metrics = train_towers(task)
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
    with leading(TRAININGS) as leads:
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
