"""Leave one out: each user's last item is the test, the one before it is for choosing, the rest is for training.

What a stage is given (inputs) is everything before its target, so that the test's inputs include the validation item.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.sequences import Sequences


@dataclass(frozen=True, slots=True)
class Histories:
    """User u's items are `events[starts[u] : ends[u]]`, oldest first."""

    events: NDArray[np.int32]
    starts: NDArray[np.int64]  # [U]
    ends: NDArray[np.int64]  # [U]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.ends - self.starts

    def take(self, users: NDArray[np.generic]) -> Histories:
        return Histories(self.events, self.starts[users], self.ends[users])

    def flat(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        """(user, item, steps from the end) of every event, users in order: [events] each."""
        lengths = self.lengths
        users = np.repeat(np.arange(len(self)), lengths)
        ages = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(users)) - 1
        return users, self.events[self.ends[users] - 1 - ages], ages

    def newest(self, count: int) -> Histories:
        """The last `count` items of each."""
        return Histories(self.events, np.maximum(self.starts, self.ends - count), self.ends)

    def padded(self, width: int, padding: int) -> NDArray[np.int64]:
        """The last `width` items of each, oldest first from the left, `padding` behind them: [U, width]."""
        recent = self.newest(width)
        users, items, ages = recent.flat()
        table = np.full((len(self), width), padding, np.int64)
        table[users, recent.lengths[users] - 1 - ages] = items
        return table


@dataclass(frozen=True, slots=True)
class Cases:
    """What is asked of a model: after this history, which item?"""

    inputs: Histories
    targets: NDArray[np.int32]  # [U]
    again: bool = False  # True: items of the history may come again, and are ranked too

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, users: NDArray[np.generic]) -> Cases:
        return Cases(self.inputs.take(users), self.targets[users], self.again)

    @property
    def unreachable(self) -> NDArray[np.bool_]:
        """Targets that are in their own history: items already seen are removed, so nobody can find them. [U]"""
        users, items, _ = self.inputs.flat()
        seen = np.zeros(len(self), np.bool_)
        seen[users[items == self.targets[users]]] = True
        return seen


@dataclass(frozen=True, slots=True)
class Split:
    train: Histories
    validation: Cases
    test: Cases
    item_count: int
    train_counts: NDArray[np.int64]  # training events of each item, [N]

    @property
    def user_count(self) -> int:
        return len(self.train)


def leave_one_out(sequences: Sequences) -> Split:
    starts, ends = sequences.starts[:-1], sequences.starts[1:]
    events, items = sequences.events, len(sequences.items)
    train = Histories(events, starts, ends - 2)
    return Split(
        train,
        Cases(train, events[ends - 2]),
        Cases(Histories(events, starts, ends - 1), events[ends - 1]),
        items,
        np.bincount(train.flat()[1], minlength=items),
    )
