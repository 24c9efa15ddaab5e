"""Leave-one-out files: one user a line, `user item item ...` in time order, and the items' attributes as JSON.

Ids are any words without white space. Nothing is guessed: a line that is not of this form stops the reading.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError

MAX_ID = 256  # characters
LEAST_ITEMS = 3  # one to learn from, one to choose on, one to test
MAX_ATTRIBUTES = 64  # of one item


class SequencesError(ShopfuseError):
    """A sequences or attributes file that cannot be used; the message names file, line or item."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Users with at least LEAST_ITEMS items; user u's items are `events[starts[u] : starts[u + 1]]`, oldest first."""

    users: tuple[str, ...]
    items: tuple[str, ...]  # in the order of their first appearance; an event is a place in it
    events: NDArray[np.int32]  # [E]
    starts: NDArray[np.int64]  # [users + 1]
    left_out: int  # users with fewer items
    sha256: str  # of the file

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)


@dataclass(frozen=True, slots=True)
class ItemAttributes:
    """Attributes of the items of a Sequences: item i has `ids[starts[i] : starts[i + 1]]`, each below `count`."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]  # [items + 1]
    count: int
    unknown_items: int  # in the file, but in nobody's sequence

    @property
    def described(self) -> int:
        """How many items have an attribute."""
        return int((np.diff(self.starts) > 0).sum())


def _lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words:
            continue
        if len(words) == 1:
            raise SequencesError(f"{path} line {number}: expected `user item item ...`, found only {words[0][:40]!r}")
        for word in words:
            if len(word) > MAX_ID or not word.isprintable():
                raise SequencesError(f"{path} line {number}: {word[:40]!r} is no id (printable, up to {MAX_ID} long)")
        yield number, words


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise SequencesError(f"{path} line {line}: not UTF-8") from None
    except OSError as error:
        raise SequencesError(f"{path}: cannot be read ({error.strerror})") from error


def read_sequences(path: Path) -> Sequences:
    """The file's users and items. Raises SequencesError with the line that is not `user item item ...`."""
    text = _text(path)
    line_of: dict[str, int] = {}
    users: list[str] = []
    codes: dict[str, int] = {}
    events: list[int] = []
    lengths: list[int] = []
    for number, (user, *items) in _lines(path, text):
        if user in line_of:
            raise SequencesError(f"{path} line {number}: user {user!r} was already on line {line_of[user]}")
        line_of[user] = number
        if len(items) >= LEAST_ITEMS:
            users.append(user)
            lengths.append(len(items))
            events += [codes.setdefault(item, len(codes)) for item in items]
    left_out = len(line_of) - len(users)
    if not lengths:
        raise SequencesError(f"{path}: no user with at least {LEAST_ITEMS} items ({left_out} with fewer)")
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Sequences(tuple(users), tuple(codes), np.array(events, np.int32), starts, left_out, digest)


def read_attributes(path: Path, items: tuple[str, ...]) -> ItemAttributes:
    """Attributes of `items` from {"item": [attribute, ...], ...}; an attribute is a string or a number.

    Raises SequencesError where the file is not of this form. Items that nobody has are counted, not kept.
    """
    table = _attribute_table(path)
    codes: dict[str, int] = {}
    ids: list[int] = []
    lengths: list[int] = []
    for item in items:
        own = [codes.setdefault(name, len(codes)) for name in dict.fromkeys(table.get(item, []))]
        ids += own
        lengths.append(len(own))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return ItemAttributes(np.array(ids, np.int32), starts, len(codes), len(table.keys() - set(items)))


def _attribute_table(path: Path) -> dict[str, list[str]]:
    try:
        document = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise SequencesError(f"{path} line {error.lineno}: not JSON ({error.msg})") from None
    if not isinstance(document, dict):
        raise SequencesError(f'{path}: expected {{"item": [attribute, ...]}}, found a {type(document).__name__}')
    return {item: _names(path, item, names) for item, names in document.items()}


def _names(path: Path, item: str, names: object) -> list[str]:
    if not isinstance(names, list) or len(names) > MAX_ATTRIBUTES:
        raise SequencesError(f"{path}: item {item!r}: expected a list of up to {MAX_ATTRIBUTES} attributes")
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int) or len(str(name)) > MAX_ID:
            raise SequencesError(
                f"{path}: item {item!r}: attribute {str(name)[:40]!r} is neither a string nor a number"
            )
    return [str(name) for name in names]
