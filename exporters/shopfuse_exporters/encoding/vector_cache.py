"""Vectors that were computed before, by a hash of what they were computed from: a rebuild encodes only what changed.

One folder for each text encoder, named after it (see `encoder_folder`); it may be deleted at any time.

    known-000003/                          one whole catalogue: keys.npy, vectors.npy (both by row), made_with.json
    parts/<plan>/000012.part.safetensors   finished chunks of an encoding that is not complete (see parts)

Vectors are fp16, which is what indexes store: the first build and a rebuild see the same numbers. Both arrays are
memory maps; what grows in this process are the keys, 16 bytes a text. It computes no vector.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.atomic_files import atomic_folder, write_bytes
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.release.manifest import ReleaseError

KEY = np.dtype("S16")  # NumPy drops zero bytes at the end of a single key only; arrays compare whole
SHA_LENGTH = 16
KNOWN = "known-"
Keys = NDArray[np.bytes_]
Vectors = NDArray[np.float16]


def keys_of(texts: Iterable[str]) -> Keys:
    """The key of each text: 128 bits of its sha256."""
    return np.array([hashlib.sha256(text.encode()).digest()[: KEY.itemsize] for text in texts], KEY)


def places_among(known: Keys, keys: Keys) -> NDArray[np.int64]:
    """Where each key is in `known`, [n]; -1 where it is not."""
    if not len(known):
        return np.full(len(keys), -1, np.int64)
    order = np.argsort(known, kind="stable")
    at = order[np.minimum(np.searchsorted(known, keys, sorter=order), len(known) - 1)]
    return np.where(known[at] == keys, at, -1)


def encoder_folder(workspace: Path, onnx_sha256: str, tokenizer_sha256: str, max_tokens: int) -> Path:
    """Where the vectors of one encoder, tokenizer and truncation lie."""
    name = f"{onnx_sha256[:SHA_LENGTH]}-{tokenizer_sha256[:SHA_LENGTH]}-{max_tokens}"
    return WorkspacePaths(workspace).text_vectors / name


@dataclass(frozen=True, slots=True)
class Known:
    """The vectors of one whole catalogue, and what computed them."""

    keys: Keys  # [N]
    vectors: Vectors  # [N, dims]
    runtimes: tuple[str, ...] = ()


class VectorCache:
    """One writer at a time (see datasets.workspace_lock), except for parts, which any number of processes may add."""

    def __init__(self, folder: Path, dims: int) -> None:
        self.folder = folder
        self.dims = dims
        self.known = self._newest()

    @property
    def encoder(self) -> str:
        """Which encoder, tokenizer and truncation the vectors are of."""
        return self.folder.name

    @property
    def parts(self) -> Path:
        return self.folder / "parts"

    def keep(self, keys: Keys, fill: Callable[[Vectors], None], runtimes: Iterable[str]) -> Vectors:
        """From now on knows these keys and no others; `fill` writes their vectors into the zeros that it is given.

        Until the end the cache holds what it held: a crash changes nothing.
        """
        folders = self._folders()
        target = self.folder / f"{KNOWN}{1 + max(map(_number, folders), default=0):06d}"
        with atomic_folder(target) as staged:
            vectors = _new_map(staged / "vectors.npy", (len(keys), self.dims))
            fill(vectors)
            vectors.flush()
            write_array(staged / "keys.npy", keys)
            write_bytes(staged / "made_with.json", json.dumps({"runtimes": sorted(set(runtimes))}).encode())
        for folder in folders:
            shutil.rmtree(folder)
        self.known = self._newest()
        return self.known.vectors

    def _folders(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob(f"{KNOWN}*"))

    def _newest(self) -> Known:
        """Of those that are whole; a crash may have left an older one beside it."""
        opened = (_open_known(folder, self.dims) for folder in reversed(self._folders()))
        nothing = Known(np.empty(0, KEY), np.empty((0, self.dims), np.float16))
        return next((known for known in opened if known is not None), nothing)


def _new_map(path: Path, shape: tuple[int, int]) -> np.memmap[Any, np.dtype[np.float16]]:
    """A new npy file of zeros, open for writing."""
    create: Callable[..., np.memmap[Any, np.dtype[np.float16]]] = np.lib.format.open_memmap
    return create(path, "w+", np.float16, shape)


def _number(folder: Path) -> int:
    return int(folder.name.removeprefix(KNOWN))


def _open_known(folder: Path, dims: int) -> Known | None:
    """None where a file is damaged or of another size: its texts are encoded again."""
    try:
        keys, vectors = open_array(folder / "keys.npy", KEY), open_array(folder / "vectors.npy", np.float16, 2)
        runtimes = tuple(json.loads((folder / "made_with.json").read_text())["runtimes"])
    except (ReleaseError, OSError, ValueError, KeyError):
        return None
    return Known(keys, vectors, runtimes) if vectors.shape == (len(keys), dims) else None
