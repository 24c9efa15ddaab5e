"""The processes that train one model together, as torchrun starts them; one process alone is a group of one.

What a trainer needs: its rank and the world size, the shard of a batch that is its own, and the mean over all ranks.
Who does what, and what the leader (rank 0) tells the others between trainings, is in messages.py.
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


class ProcessGroupError(ShopfuseError):
    """Another process of the group is gone, or does not answer."""


@contextmanager
def joined() -> Iterator[None]:
    """Joins the processes that the variables RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT speak of, and leaves them.

    Nothing to join without them. Each process takes the GPU of its LOCAL_RANK. Raises ProcessGroupError where
    there is none of that number, or the others cannot be reached.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(_own_gpu())
        backend = "cpu:gloo,cuda:nccl"
    try:
        dist.init_process_group(backend, timeout=STEP_TIMEOUT)
    except (ValueError, RuntimeError) as error:
        raise ProcessGroupError(f"cannot join the other processes of the training ({error})") from error
    try:
        yield
    finally:
        dist.destroy_process_group()


def _own_gpu() -> int:
    own, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if own >= there:
        raise ProcessGroupError(
            f"LOCAL_RANK {own}: this machine has {there} GPUs, one for each process; start fewer, or hide the GPUs "
            "(CUDA_VISIBLE_DEVICES=) to train on CPUs"
        )
    return own


def world_size() -> int:
    """How many processes there are, 1 for one alone."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's number; 0 is the leader, and a process alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def shard(count: int) -> slice:
    """This process's part of `count` examples: parts differ in length by one at most."""
    return slice(count * rank() // world_size(), count * (rank() + 1) // world_size())


def mean(value: float) -> float:
    """The mean over all ranks, the same for each of them (all-reduce)."""
    if world_size() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(total)
    return float(total) / world_size()


@contextmanager
def failures_named(stage: str) -> Iterator[None]:
    """A call to the other processes that failed becomes a ProcessGroupError which says during which stage."""
    try:
        yield
    except RuntimeError as error:
        if world_size() > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise ProcessGroupError(
                f"{stage}: another process of the training is gone or does not answer ({error})"
            ) from error
        raise
