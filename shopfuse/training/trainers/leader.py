"""Who does what where several processes train: the leader (rank 0) runs the command, the others join its trainings.

Only the leader reads the workspace and writes to it; the others get their data from it and need no files. A model that
is trained by one process alone, while the others wait, is not in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shopfuse.training.distributed import process_group
from shopfuse.training.distributed.messages import Message, Messages, broadcasting
from shopfuse.training.trainers import towers as train_towers

TRAININGS: dict[str, Callable[[Message], object]] = {
    train_towers.TRAINING: lambda message: train_towers.take_part(message.read(train_towers.TowerTask)),
}
_DISMISSED = "dismissed"


@contextmanager
def leading() -> Iterator[bool]:
    """True for the leader, at once; False for the other ranks, once the leader's command has ended well.

    Raises ProcessGroupError where another process is gone.
    """
    with process_group.joined():
        if process_group.world_size() == 1:
            yield True
            return
        messages = Messages()
        if process_group.rank() > 0:
            _take_part(messages)
            yield False
            return
        with broadcasting(messages):
            yield True
        messages.send(_DISMISSED, None)


def _take_part(messages: Messages) -> None:
    name, message = messages.receive()
    while name != _DISMISSED:
        TRAININGS[name](message)
        name, message = messages.receive()
