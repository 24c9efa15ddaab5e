"""Vectors that were computed before, by a hash of what they were computed from: a rebuild encodes only what changed.

A folder of parts, each a pair of arrays; a part counts once its keys are there, so an interrupted build keeps what it
had finished. The folder belongs to one encoder and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import open_array, write_array
from shopfuse.release.manifest import ReleaseError

KEY = np.dtype("S32")


def keys_of(texts: Iterable[str]) -> NDArray[np.bytes_]:
    """The key of each text: 128 bits of its sha256 in hex."""
    return np.array([hashlib.sha256(text.encode()).hexdigest()[: KEY.itemsize] for text in texts], KEY)


class VectorCache:
    """Vectors are kept as fp16, which is what indexes store: the first build and a rebuild see the same numbers."""

    def __init__(self, folder: Path, dims: int) -> None:
        self._folder = folder
        self._dims = dims
        self._parts = [part for path in sorted(folder.glob("*.keys.npy")) if (part := _open_part(path, dims))]

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._parts)

    def known(self, keys: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Which keys have a vector, [n]."""
        known = np.zeros(len(keys), np.bool_)
        for part_keys, _ in self._parts:
            known |= _places(part_keys, keys) >= 0
        return known

    def find(self, keys: NDArray[np.bytes_]) -> NDArray[np.float16]:
        """The vectors of keys, [n, dims]; zeros where a key is unknown."""
        vectors = np.zeros((len(keys), self._dims), np.float16)
        for part_keys, part_vectors in self._parts:
            places = _places(part_keys, keys)
            hits = np.flatnonzero(places >= 0)
            vectors[hits] = part_vectors[places[hits]]
        return vectors

    def add(self, keys: NDArray[np.bytes_], vectors: NDArray[np.floating[Any]]) -> None:
        """Keeps vectors [n, dims], n > 0, from now on."""
        number = 1 + max((_number(path) for path in self._folder.glob("*.keys.npy")), default=0)
        path = self._folder / f"{number:06d}.keys.npy"
        write_array(_vectors_path(path), vectors.astype(np.float16))
        write_array(path, keys)
        if part := _open_part(path, self._dims):
            self._parts.append(part)

    def keep_only(self, keys: NDArray[np.bytes_], vectors: NDArray[np.float16]) -> None:
        """Forgets all but these: afterwards the cache is one part."""
        old = list(self._folder.glob("*.keys.npy"))
        self.add(keys, vectors)
        for path in old:
            path.unlink()
            _vectors_path(path).unlink()
        self._parts = self._parts[-1:]


def _places(part: NDArray[np.bytes_], keys: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """Where each key is in `part`, [n]; -1 where it is not."""
    order = np.argsort(part)
    at = order[np.minimum(np.searchsorted(part, keys, sorter=order), len(part) - 1)]
    return np.where(part[at] == keys, at, -1)


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0])


def _vectors_path(keys: Path) -> Path:
    return keys.with_name(keys.name.replace(".keys.", ".vectors."))


def _open_part(path: Path, dims: int) -> tuple[NDArray[np.bytes_], NDArray[np.float16]] | None:
    """None for a damaged part: its texts are encoded again."""
    try:
        keys, vectors = open_array(path, KEY), open_array(_vectors_path(path), np.float16, 2)
    except ReleaseError:
        return None
    return (keys, vectors) if 0 < len(keys) == len(vectors) and vectors.shape[1] == dims else None
