"""Encodes the texts of a catalogue as a stream: read in batches, computed chunk by chunk, put together on disk.

What this process holds are one chunk of texts and, for each text, its key and its place (about 60 bytes); the vectors
are a memory map. Killed at any moment it goes on where it was, with the bytes of an unbroken run (see plan).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress, silent
from shopfuse_exporters.encoding.parts import Part, fits, part_files, part_path, read_part, write_part
from shopfuse_exporters.encoding.plan import CHUNK, WHOLE, EncodingError, Plan, Shard, make_plan
from shopfuse_exporters.encoding.vector_cache import KEY, Keys, VectorCache, Vectors, keys_of, places_among

STAGE = "encode texts"
COPIED_AT_ONCE = 4096  # vectors
Texts = Callable[[], Iterable[Sequence[str]]]  # each call reads the texts of the catalogue again, in batches


class TextEncoder(Protocol):
    """What turns texts into vectors, here or in a Triton."""

    @property
    def dims(self) -> int: ...

    @property
    def runtime(self) -> str:
        """What the bytes of the vectors depend on beside the encoder itself; parts of two runtimes are never mixed."""

    def encode(self, texts: Sequence[str], progress: Progress = silent, stage: str = STAGE) -> NDArray[np.float32]:
        """The L2-normalised vectors of texts, [n, dims]."""


def encode_all(
    texts: Texts, encoder: TextEncoder, cache: VectorCache, progress: Progress = silent, chunk: int = CHUNK
) -> tuple[Vectors, int]:
    """(the vectors of all texts [N, dims], a read-only map; how many were computed now). Equal texts are encoded once.

    One process at a time, under the workspace's lock. Raises EncodingError, and whatever the encoder raises; finished
    chunks stay.
    """
    keys = keys_of_all(texts)
    if not len(keys):
        return np.empty((0, cache.dims), np.float16), 0
    plan = make_plan(keys, cache.known.keys, cache.encoder, encoder.runtime, chunk)
    if _keep_useful_parts(plan, cache):
        plan = make_plan(keys, cache.known.keys, cache.encoder, encoder.runtime, chunk)
    computed = encode_chunks(texts, plan, encoder, cache, WHOLE, progress)
    parts = {number: part_path(cache.parts, plan, number) for number in range(plan.chunks)}
    return assemble(keys, plan, cache, parts), computed


def encode_texts(
    texts: Sequence[str], encoder: TextEncoder, cache: VectorCache, progress: Progress = silent
) -> tuple[Vectors, int]:
    """encode_all for texts that are in memory."""
    return encode_all(lambda: [texts], encoder, cache, progress)


def keys_of_all(texts: Texts) -> Keys:
    """The key of every text, [N]."""
    return np.concatenate([np.empty(0, KEY), *map(keys_of, texts())])


def encode_chunks(
    texts: Texts, plan: Plan, encoder: TextEncoder, cache: VectorCache, shard: Shard, progress: Progress = silent
) -> int:
    """Computes the chunks of a shard that are not on disk yet; how many texts that were.

    Needs no lock: any number of processes may work on one plan.
    """
    chunks = plan.chunks_of(shard)
    missing = [chunk for chunk in chunks if not _is_done(plan, chunk, cache)]
    total = sum(_size(plan, chunk) for chunk in chunks)
    done = before = total - sum(_size(plan, chunk) for chunk in missing)
    progress(STAGE, done, total)
    for chunk, batch in _texts_of(texts, plan, missing):
        vectors = encoder.encode(batch, _Shifted(progress, done, total), STAGE)
        _check_vectors(vectors, batch, cache.dims)
        write_part(cache.parts, plan, chunk, shard, vectors)
        done += len(batch)
        progress(STAGE, done, total)
    return done - before


@dataclass(frozen=True, slots=True)
class _Shifted:
    """The progress of one chunk as progress of the whole."""

    progress: Progress
    start: int
    total: int

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.progress(stage, self.start + done, self.total)


def _size(plan: Plan, chunk: int) -> int:
    span = plan.span(chunk)
    return int(span.stop) - int(span.start)


def _is_done(plan: Plan, chunk: int, cache: VectorCache) -> bool:
    """False for a damaged part too: it is computed again."""
    path = part_path(cache.parts, plan, chunk)
    part = _whole_part(path) if path.is_file() else None
    return part is not None and part.chunk == chunk and fits(part, plan, cache.dims)


def _whole_part(path: Path) -> Part | None:
    try:
        return read_part(path)
    except EncodingError:
        return None


def _texts_of(texts: Texts, plan: Plan, chunks: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
    """(chunk, its texts), in order. Raises EncodingError where the catalogue is no longer the one that was planned."""
    wanted = set(chunks)
    texts_of_chunk: list[str] = []
    start = 0
    for batch in texts() if wanted else ():
        first, end = np.searchsorted(plan.rows, (start, start + len(batch)))
        for at in range(first, end):
            texts_of_chunk.append(batch[plan.rows[at] - start])
            chunk = at // plan.chunk
            if at + 1 == plan.span(chunk).stop:
                if chunk in wanted:
                    _check_texts(plan, chunk, texts_of_chunk)
                    wanted.remove(chunk)
                    yield chunk, texts_of_chunk
                texts_of_chunk = []
        start += len(batch)
    if wanted:
        raise _changed()


def _check_texts(plan: Plan, chunk: int, texts: Sequence[str]) -> None:
    if not np.array_equal(keys_of(texts), plan.keys[plan.span(chunk)]):
        raise _changed()


def _changed() -> EncodingError:
    return EncodingError("the catalogue changed while it was being encoded; run the command again")


def _check_vectors(vectors: NDArray[np.float32], texts: Sequence[str], dims: int) -> None:
    if vectors.shape != (len(texts), dims):
        raise EncodingError(f"the text encoder gave vectors {vectors.shape}, expected {(len(texts), dims)}")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise EncodingError(f"the text encoder gave NaN or infinity for the text {texts[bad[0]]!r}")


def assemble(keys: Keys, plan: Plan, cache: VectorCache, parts: Mapping[int, Path]) -> Vectors:
    """The vectors of all keys [N, dims] from what the cache knows and the plan's parts, one for each chunk.

    From now on the cache knows them; its parts are gone. The caller holds the workspace's lock.
    """
    known = cache.known
    if not plan.chunks and np.array_equal(keys, known.keys):
        return known.vectors

    def fill(vectors: Vectors) -> None:
        _copy_known(keys, known.keys, known.vectors, vectors)
        _copy_parts(keys, plan, parts, vectors)

    runtimes = {*known.runtimes, plan.runtime} if plan.chunks else known.runtimes
    vectors = cache.keep(keys, fill, runtimes)
    shutil.rmtree(cache.parts, ignore_errors=True)
    return vectors


def _copy_known(keys: Keys, known: Keys, source: Vectors, target: Vectors) -> None:
    places = places_among(known, keys)
    rows = np.flatnonzero(places >= 0)
    for start in range(0, len(rows), COPIED_AT_ONCE):
        some = rows[start : start + COPIED_AT_ONCE]
        target[some] = source[places[some]]


def _copy_parts(keys: Keys, plan: Plan, parts: Mapping[int, Path], target: Vectors) -> None:
    """Each part is read once, and written to every row that has one of its texts."""
    places = places_among(plan.keys, keys)
    rows = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[rows], np.arange(plan.chunks + 1) * plan.chunk)
    for chunk in range(plan.chunks):
        part = read_part(parts[chunk])
        if part.chunk != chunk or not fits(part, plan, target.shape[1]):
            raise EncodingError(f"{part.path}: not chunk {chunk} of this catalogue's encoding")
        some = rows[starts[chunk] : starts[chunk + 1]]
        target[some] = part.vectors[places[some] - chunk * plan.chunk]


def _keep_useful_parts(plan: Plan, cache: VectorCache) -> bool:
    """Adds what the encoding of an earlier catalogue had finished to what the cache knows; whether there was any.

    Parts of another runtime stay where they are, for that runtime to go on with.
    """
    useful = _useful_parts(plan, cache)
    if not useful:
        return False
    known = cache.known

    def fill(vectors: Vectors) -> None:
        start = len(known.keys)
        vectors[:start] = known.vectors
        for path, keys in useful.items():
            vectors[start : start + len(keys)] = read_part(path).vectors
            start += len(keys)

    cache.keep(np.concatenate([known.keys, *useful.values()]), fill, {*known.runtimes, plan.runtime})
    for path in useful:
        path.unlink()
    return True


def _useful_parts(plan: Plan, cache: VectorCache) -> dict[Path, Keys]:
    """Whole parts of other plans that hold a text of this one, and their keys."""
    others = [path for path in part_files(cache.parts) if path.parent.name != plan.identity]
    useful = {}
    for path in others:
        part = _whole_part(path)
        if part is None or (part.encoder, part.runtime) != (plan.encoder, plan.runtime):
            continue
        if part.vectors.shape == (len(part.keys), cache.dims) and (places_among(part.keys, plan.keys) >= 0).any():
            useful[path] = part.keys
    return useful
