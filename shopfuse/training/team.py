"""The processes that train one model together, as torchrun starts them; one process alone is a team of one.

What every trainer needs: how many they are, which part of a batch is this one's, and how values become one.
Who reads data, who writes files and how a training is shared out is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from shopfuse.ranking.errors import ShopfuseError


class TeamError(ShopfuseError):
    """Another process of the team is gone, or does not answer."""


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
    """A collective call that failed becomes a TeamError which says during which stage."""
    try:
        yield
    except RuntimeError as error:
        if size() > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise TeamError(f"{stage}: another process of the team is gone or does not answer ({error})") from error
        raise
