"""Pieces of serialised protobuf: where the same message is built again and again, only its numbers are written anew.

Two facts of the format carry all of it: a message's fields may come in any order and in pieces, and pieces joined are
merged. No message of ours is described here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

DOUBLE_BYTES = 8
Numbers = NDArray[np.float32]


def varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def length_delimited(field: int, messages: Iterable[bytes]) -> bytes:
    """A repeated field of serialised messages."""
    tag = varint(field << 3 | 2)
    return b"".join([tag + varint(len(message)) + message for message in messages])


def with_numbers(columns: Sequence[tuple[Message, Numbers]]) -> list[bytes]:
    """Row i holds the columns' messages, each with its i-th number, [n] bytes of equal length.

    A column's message is an example: one double, not 0, and last in its serialised form.
    """
    heads = [example.SerializeToString()[:-DOUBLE_BYTES] for example, _ in columns]
    fields = [
        part for at, head in enumerate(heads) for part in ((f"head{at}", f"V{len(head)}"), (f"number{at}", "<f8"))
    ]
    table = np.empty(len(columns[0][1]), fields)
    for at, (head, (_, numbers)) in enumerate(zip(heads, columns, strict=True)):
        table[f"head{at}"], table[f"number{at}"] = np.void(head), numbers
    packed, width = table.tobytes(), table.itemsize
    return [packed[start : start + width] for start in range(0, len(packed), width)]
