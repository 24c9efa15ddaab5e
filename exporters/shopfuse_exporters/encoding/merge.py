"""Puts the shards of an encoding together: every part is checked before anything is written.

Parts come from other machines' copies of the workspace, or lie here already (shards on one file system). Nothing is
computed: what is missing is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopfuse_exporters.encoding.parts import Part, fits, part_files, read_part
from shopfuse_exporters.encoding.plan import CHUNK, EncodingError, Plan, make_plan
from shopfuse_exporters.encoding.run import Texts, assemble, keys_of_all
from shopfuse_exporters.encoding.vector_cache import VectorCache, Vectors

WHAT_AN_ENCODER_IS = ("text encoder", "tokenizer", "number of tokens")  # the pieces of a cache folder's name


@dataclass(frozen=True, slots=True)
class _PartFile:
    """A part on disk, without its arrays."""

    path: Path
    shard: str


def merge(texts: Texts, cache: VectorCache, folders: Sequence[Path], chunk: int = CHUNK) -> Vectors:
    """The vectors of all texts [N, dims] from the parts in the cache and below the folders.

    Under the workspace's lock. Raises EncodingError naming a damaged or foreign part, or the shards that are missing;
    the workspace is then as it was.
    """
    keys = keys_of_all(texts)
    other_parts = [path for folder in folders for path in _parts_below(folder)]
    runtime = _one_runtime(other_parts or list(part_files(cache.parts)), cache)
    plan = make_plan(keys, cache.known.keys, cache.encoder, runtime, chunk)
    own = part_files(cache.parts / plan.identity)
    part_of_chunk = _checked([*own, *other_parts], plan, cache) if plan.chunks else {}
    _check_complete(plan, part_of_chunk)
    return assemble(keys, plan, cache, {number: part.path for number, part in part_of_chunk.items()})


def _parts_below(folder: Path) -> list[Path]:
    parts = list(part_files(folder))
    if not parts:
        raise EncodingError(f"{folder}: no part of an encoding at or below it (expected a copy of a workspace)")
    return parts


def _one_runtime(paths: Iterable[Path], cache: VectorCache) -> str:
    """What computed the parts; "" where there is none."""
    runtimes: dict[str, Path] = {}
    for path in paths:
        part = read_part(path)
        _check_encoder(part, cache)
        runtimes.setdefault(part.runtime, path)
    if len(runtimes) > 1:
        sources = " and ".join(f"{path} by {runtime}" for runtime, path in runtimes.items())
        raise EncodingError(f"parts of different runtimes are not mixed: {sources}")
    return next(iter(runtimes), "")


def _check_encoder(part: Part, cache: VectorCache) -> None:
    theirs, ours = part.encoder.split("-"), cache.encoder.split("-")
    for name, their, our in zip(WHAT_AN_ENCODER_IS, theirs, ours, strict=False):
        if their != our:
            raise EncodingError(f"{part.path}: made with another {name} ({their}) than this workspace's ({our})")


def _checked(paths: Iterable[Path], plan: Plan, cache: VectorCache) -> dict[int, _PartFile]:
    """The parts of the plan by chunk. Raises EncodingError for a part that is not of it."""
    part_of_chunk: dict[int, _PartFile] = {}
    for path in paths:
        part = read_part(path)
        _check_encoder(part, cache)
        if not fits(part, plan, cache.dims):
            raise EncodingError(
                f"{path}: part of another encoding ({part.plan}, expected {plan.identity}): its catalogue, or what was "
                "encoded before it, was not this workspace's"
            )
        first = part_of_chunk.setdefault(part.chunk, _PartFile(path, part.shard))
        if first.path != path and not np.array_equal(part.vectors, read_part(first.path).vectors):
            raise EncodingError(f"{path} and {first.path}: the same texts with different vectors")
    return part_of_chunk


def _check_complete(plan: Plan, part_of_chunk: Mapping[int, _PartFile]) -> None:
    """Raises EncodingError that names the shards whose chunks are missing."""
    missing = [chunk for chunk in range(plan.chunks) if chunk not in part_of_chunk]
    if not missing:
        return
    counts = {part.shard.partition("/")[2] for part in part_of_chunk.values()}
    if len(counts) != 1:
        raise EncodingError(f"{_share(missing, plan)} are missing: {', '.join(map(str, missing[:10]))}")
    of = int(counts.pop())
    shards = sorted({chunk % of for chunk in missing})
    problems = [
        f"shard {shard + 1}/{of} is missing: {_share([chunk for chunk in missing if chunk % of == shard], plan)}"
        for shard in shards
    ]
    raise EncodingError("; ".join(problems))


def _share(chunks: Sequence[int], plan: Plan) -> str:
    return f"{len(chunks)} of {plan.chunks} chunks"
