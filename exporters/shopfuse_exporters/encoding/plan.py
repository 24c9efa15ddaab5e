"""What an encoding has to compute, and how it is cut: the same for every process that works on it, whatever is done.

The vector of a text may depend on its batch (an int8 encoder scales by what the batch holds; fp32 sums in another
order), and batches are formed inside a chunk. So chunks are cut from what was missing at the start, never from what is
missing now: a run that was killed, or n shards on n machines, give the bytes of one unbroken run.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse_exporters.encoding.vector_cache import Keys, places_among

CHUNK = 2048  # texts in one part: what a crash can lose, and the grain of shards
_SHARD = re.compile(r"([0-9]+)/([0-9]+)")


class EncodingError(ShopfuseError):
    """The catalogue cannot be encoded, or parts of it cannot be put together."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The `number`-th, from 1, of `of` equal shares of the chunks."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """`2/4` is the second of four. Raises EncodingError."""
        match = _SHARD.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise EncodingError(f"shard {text!r}: expected i/n with 1 <= i <= n, such as 2/4")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, chunk: int) -> bool:
        return chunk % self.of == self.number - 1


WHOLE = Shard()


@dataclass(frozen=True, slots=True)
class Plan:
    """The texts that have no vector yet, each once, in the order of the catalogue."""

    identity: str
    encoder: str
    runtime: str
    chunk: int
    keys: Keys  # [T]
    rows: NDArray[np.int64]  # [T]: where each text first occurs in the catalogue, ascending

    @property
    def chunks(self) -> int:
        return -(-len(self.keys) // self.chunk)

    def span(self, chunk: int) -> slice:
        """Where a chunk's texts are in `keys` and `rows`."""
        return slice(chunk * self.chunk, min((chunk + 1) * self.chunk, len(self.keys)))

    def chunks_of(self, shard: Shard) -> list[int]:
        return [chunk for chunk in range(self.chunks) if shard.has(chunk)]


def make_plan(catalogue: Keys, known: Keys, encoder: str, runtime: str, chunk: int = CHUNK) -> Plan:
    """The plan for a catalogue of which these keys are known; `runtime` is what will compute the others."""
    unique, first = np.unique(catalogue, return_index=True)
    rows = np.sort(first[places_among(known, unique) < 0]).astype(np.int64)
    keys = catalogue[rows]
    made_of = json.dumps([encoder, runtime, chunk]).encode() + keys.tobytes()
    return Plan(hashlib.sha256(made_of).hexdigest()[:16], encoder, runtime, chunk, keys, rows)
