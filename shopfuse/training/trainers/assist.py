"""Who does what where several processes train: the first runs the command, the others take part in its trainings.

Only the first reads the workspace and writes to it; the others get their data from it and need no files. A model that
is trained by one process alone, while the others wait, is not in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shopfuse.training.distributed import process_group as team
from shopfuse.training.distributed.messages import Message, Messages, announcing
from shopfuse.training.trainers import towers as train_towers

TRAININGS: dict[str, Callable[[Message], object]] = {
    train_towers.TRAINING: lambda message: train_towers.take_part(message.read(train_towers.TowerTask)),
}
_DISMISSED = "dismissed"


@contextmanager
def leading() -> Iterator[bool]:
    """True for the process that runs the command, at once; False for the others, once the command has ended well.

    Raises TeamError where another process is gone.
    """
    with team.joined():
        if team.size() == 1:
            yield True
            return
        messages = Messages()
        if team.place() > 0:
            _assist(messages)
            yield False
            return
        with announcing(messages):
            yield True
        messages.send(_DISMISSED, None)


def _assist(messages: Messages) -> None:
    name, message = messages.receive()
    while name != _DISMISSED:
        TRAININGS[name](message)
        name, message = messages.receive()
