"""The leader (rank 0) runs the command, the other ranks join its trainings: what it broadcasts to them, and when.

Only the leader reads the workspace and writes to it; the others get the data of a training from it, as JSON and plain
arrays, and need no files.

A message is a frozen dataclass whose fields are arrays, tensors, numbers, texts or such dataclasses; the receiver says
of which class it must be. Nothing else travels, so that no code can arrive with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any, TypeVar, get_type_hints

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from shopfuse.training.distributed import process_group

MessageT = TypeVar("MessageT")
BETWEEN_TRAININGS = timedelta(days=2)  # encoding a large catalogue takes hours; a process that died is noticed at once


class Messages:
    """From the leader to all other ranks, in order. All must make and use it alike."""

    def __init__(self) -> None:
        self._group = dist.new_group(timeout=BETWEEN_TRAININGS, backend="gloo")

    def send(self, name: str, message: object) -> None:
        """Sends the dataclass `message`; the name says to the others which training it is for."""
        arrays: list[NDArray[Any]] = []
        head = {"name": name, "message": _plain(message, arrays), "arrays": [(a.dtype.str, a.shape) for a in arrays]}
        raw = np.frombuffer(json.dumps(head).encode(), np.uint8)
        self._broadcast(np.array([len(raw)], np.int64))
        for array in (raw, *arrays):
            self._broadcast(array)

    def receive(self) -> tuple[str, Message]:
        """Waits for the next message."""
        length = int(self._broadcast(np.zeros(1, np.int64))[0])
        head = json.loads(self._broadcast(np.zeros(length, np.uint8)).tobytes())
        arrays = [self._broadcast(np.zeros(shape, np.dtype(kind))) for kind, shape in head["arrays"]]
        return head["name"], Message(head["message"], arrays)

    def _broadcast(self, array: NDArray[Any]) -> NDArray[Any]:
        """The leader's bytes of the array, in the memory of a copy."""
        copy = np.array(array, order="C")
        if copy.size:
            with process_group.failures_named("between trainings"):
                dist.broadcast(torch.from_numpy(copy.reshape(-1).view(np.uint8)), 0, group=self._group)
        return copy


class Message:
    """A received message, before it is known what it should be."""

    def __init__(self, head: Any, arrays: list[NDArray[Any]]) -> None:
        self._head, self._arrays = head, arrays

    def read(self, kind: type[MessageT]) -> MessageT:
        """The message as an instance of the dataclass `kind`."""
        value: MessageT = self._read(self._head, kind)
        return value

    def _read(self, head: Any, kind: Any) -> Any:
        if is_dataclass(kind):
            hints = get_type_hints(kind)
            return kind(**{name: self._read(part, hints[name]) for name, part in head.items()})  # type: ignore[operator]
        if isinstance(head, dict):
            array = self._arrays[head["array"]]
            return torch.from_numpy(array) if kind is Tensor else array
        return head


def _plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """The value as JSON, with arrays by their place in `arrays`, which grows."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), arrays) for field in fields(value)}
    if isinstance(value, Tensor | np.ndarray):
        arrays.append(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)
        return {"array": len(arrays) - 1}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    raise TypeError(f"a message holds arrays, tensors, numbers, texts and dataclasses of them, not {type(value)}")


_OUTGOING: ContextVar[Messages | None] = ContextVar("messages to the other ranks", default=None)
_DISMISSED = "dismissed"


@contextmanager
def leading(trainings: Mapping[str, Callable[[Message], object]]) -> Iterator[bool]:
    """True for the leader, at once; False for the other ranks, once the leader's command has ended well.

    `trainings` says how the other ranks take part in each that is broadcast; one that the leader does alone, while they
    wait, is not among them. Raises ProcessGroupError where another process is gone.
    """
    with process_group.joined():
        if process_group.world_size() == 1:
            yield True
            return
        messages = Messages()
        if process_group.rank() > 0:
            _take_part(messages, trainings)
            yield False
            return
        token = _OUTGOING.set(messages)
        try:
            yield True
        finally:
            _OUTGOING.reset(token)
        messages.send(_DISMISSED, None)


def _take_part(messages: Messages, trainings: Mapping[str, Callable[[Message], object]]) -> None:
    name, message = messages.receive()
    while name != _DISMISSED:
        trainings[name](message)
        name, message = messages.receive()


def broadcast(training: str, message: object) -> None:
    """Asks the other ranks, if there are any, to take part in this training with this data."""
    if (messages := _OUTGOING.get()) is not None:
        messages.send(training, message)
