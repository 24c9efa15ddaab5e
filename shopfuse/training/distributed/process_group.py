"""The processes that train one model together, as torchrun starts them; one process alone is a team of one.

What a trainer needs: how many they are, which part of a batch is this one's, and how values become one. What the
processes tell each other between trainings is in team_messages.py, who does what in team_work.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from shopfuse.core.errors import ShopfuseError

STEP_TIMEOUT = timedelta(minutes=5)  # a process that does not answer for so long during a training is given up


class TeamError(ShopfuseError):
    """Another process of the team is gone, or does not answer."""


@contextmanager
def joined() -> Iterator[None]:
    """Joins the processes that the variables RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT speak of, and leaves them.

    Nothing to join without them. Each process takes the GPU of its LOCAL_RANK. Raises TeamError where the others
    cannot be reached.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl"
    try:
        dist.init_process_group(backend, timeout=STEP_TIMEOUT)
    except (ValueError, RuntimeError) as error:
        raise TeamError(f"cannot join the other processes of the training ({error})") from error
    try:
        yield
    finally:
        dist.destroy_process_group()


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def place() -> int:
    """This process's number, 0 in a team of one."""
    return dist.get_rank() if dist.is_initialized() else 0


def share(count: int) -> slice:
    """This process's part of `count` examples: parts differ in length by one at most."""
    return slice(count * place() // size(), count * (place() + 1) // size())


def mean(value: float) -> float:
    """The mean of the processes' values, the same for all of them."""
    if size() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(total)
    return float(total) / size()


@contextmanager
def failures_named(stage: str) -> Iterator[None]:
    """A call to the other processes that failed becomes a TeamError which says during which stage."""
    try:
        yield
    except RuntimeError as error:
        if size() > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise TeamError(f"{stage}: another process of the team is gone or does not answer ({error})") from error
        raise
