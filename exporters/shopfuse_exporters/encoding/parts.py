"""Finished chunks of an encoding as files: each says what it is part of, and carries a checksum.

A part appears whole, under its name, or not at all. One safetensors file: `keys` [n, 16] and `vectors` [n, dims].
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from shopfuse.core.atomic_files import write_bytes
from shopfuse_exporters.encoding.plan import EncodingError, Plan, Shard
from shopfuse_exporters.encoding.vector_cache import KEY, Keys, Vectors

SUFFIX = ".part.safetensors"


@dataclass(frozen=True, slots=True)
class Part:
    """One chunk as it was read, checked against its own checksum only."""

    path: Path
    plan: str
    encoder: str
    runtime: str
    shard: str
    chunk: int
    keys: Keys  # [n]
    vectors: Vectors  # [n, dims]


def part_path(folder: Path, plan: Plan, chunk: int) -> Path:
    """Where a chunk lies below the cache's folder of parts."""
    return folder / plan.identity / f"{chunk:06d}{SUFFIX}"


def part_files(folder: Path) -> Iterator[Path]:
    """Every part at or below a folder, in order of its path; files that are still being written are hidden."""
    yield from sorted(path for path in folder.rglob(f"*{SUFFIX}") if not path.name.startswith("."))


def write_part(folder: Path, plan: Plan, chunk: int, shard: Shard, vectors: NDArray[np.floating[Any]]) -> Path:
    """Puts the vectors [n, dims] of a chunk on disk; returns when they would survive a power cut."""
    path = part_path(folder, plan, chunk)
    keys = np.frombuffer(plan.keys[plan.span(chunk)].tobytes(), np.uint8).reshape(-1, KEY.itemsize)
    tensors: dict[str, NDArray[Any]] = {"keys": keys, "vectors": vectors.astype(np.float16)}
    metadata = {
        "plan": plan.identity,
        "encoder": plan.encoder,
        "runtime": plan.runtime,
        "shard": str(shard),
        "chunk": str(chunk),
    }
    write_bytes(path, save(tensors, {**metadata, "sha256": _checksum(tensors, metadata)}))
    return path


def _checksum(tensors: Mapping[str, NDArray[np.generic]], metadata: Mapping[str, str]) -> str:
    """Over the arrays and the metadata beside them."""
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].shape}{tensors[name].dtype}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()


def read_part(path: Path) -> Part:
    """Raises EncodingError naming a file that is cut, changed or not a part."""
    try:
        with safe_open(path, framework="np") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in ("keys", "vectors")}
    except (SafetensorError, OSError) as error:
        raise EncodingError(f"{path}: damaged, or not a part of an encoding ({error})") from error
    if metadata.pop("sha256", "") != _checksum(tensors, metadata):
        raise EncodingError(f"{path}: damaged: its contents do not fit its checksum")
    keys = np.ascontiguousarray(tensors["keys"]).view(KEY).reshape(-1)
    origin = {name: metadata[name] for name in ("plan", "encoder", "runtime", "shard")}
    return Part(path, **origin, chunk=int(metadata["chunk"]), keys=keys, vectors=tensors["vectors"])


def fits(part: Part, plan: Plan, dims: int) -> bool:
    """Whether a part is the chunk of this plan that it says it is."""
    if part.plan != plan.identity or part.chunk >= plan.chunks:
        return False
    keys = plan.keys[plan.span(part.chunk)]
    return np.array_equal(part.keys, keys) and part.vectors.shape == (len(keys), dims)
