"""Shards of different machines become one encoding, or are refused by name and nothing changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from shopfuse.core.progress import Progress, silent
from shopfuse_exporters.encoding.merge import merge
from shopfuse_exporters.encoding.parts import part_files
from shopfuse_exporters.encoding.plan import EncodingError, Shard, make_plan
from shopfuse_exporters.encoding.run import STAGE, encode_all, encode_chunks
from shopfuse_exporters.encoding.vector_cache import VectorCache, Vectors, keys_of

ENCODER = "aaaa-bbbb-128"
DIMS, CHUNK = 4, 3
TEXTS = [f"item {number}" for number in range(35)]  # 12 chunks


class Numbers:
    """A text's number, and the one of the first text of its chunk: a vector shows its company."""

    dims = DIMS

    def __init__(self, runtime: str = "here", offset: float = 0.0) -> None:
        self.runtime = runtime
        self._offset = offset

    def encode(self, texts: Sequence[str], progress: Progress = silent, stage: str = STAGE) -> NDArray[np.float32]:
        numbers = np.array([int(text.split()[1]) for text in texts], np.float32)
        return np.stack([numbers, np.full_like(numbers, numbers[0]), numbers + self._offset, -numbers], axis=1)


def _texts(texts: Sequence[str] = TEXTS) -> Iterator[Sequence[str]]:
    yield texts[:20]
    yield texts[20:]


def _machine(root: Path, encoder: str = ENCODER) -> VectorCache:
    return VectorCache(root / "cache/texts" / encoder, DIMS)


def _encode_shard(
    cache: VectorCache, shard: str, texts: Sequence[str] = TEXTS, runtime: str = "here", offset: float = 0.0
) -> None:
    plan = make_plan(keys_of(texts), cache.known.keys, cache.encoder, runtime, CHUNK)
    encode_chunks(lambda: _texts(texts), plan, Numbers(runtime, offset), cache, Shard.parse(shard))


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def unsharded(tmp_path: Path) -> Vectors:
    vectors, _ = encode_all(_texts, Numbers(), _machine(tmp_path / "whole"), chunk=CHUNK)
    return vectors


@pytest.fixture
def machines(tmp_path: Path) -> list[Path]:
    """Three copies of one workspace, each with a third of the parts."""
    roots = [tmp_path / f"copy{number}" for number in (1, 2, 3)]
    for number, root in enumerate(roots, 1):
        _encode_shard(_machine(root), f"{number}/3")
    return roots


def _refused(root: Path, folders: list[Path], message: str) -> None:
    """Merging fails with this message and changes nothing."""
    before = _contents(root)

    with pytest.raises(EncodingError, match=message):
        merge(_texts, _machine(root), folders, CHUNK)
    assert _contents(root) == before


def test_merged_shards_are_an_unsharded_run(machines: list[Path], unsharded: Vectors) -> None:
    first, *others = machines

    vectors = merge(_texts, _machine(first), others, CHUNK)
    assert vectors.tobytes() == unsharded.tobytes()
    _, computed = encode_all(_texts, Numbers(), _machine(first), chunk=CHUNK)
    assert computed == 0
    assert not list(part_files(first))


def test_merging_again_changes_nothing(machines: list[Path], unsharded: Vectors) -> None:
    first, *others = machines
    merge(_texts, _machine(first), others, CHUNK)
    before = _contents(first)

    assert merge(_texts, _machine(first), others, CHUNK).tobytes() == unsharded.tobytes()
    assert _contents(first) == before


def test_shards_on_one_file_system_need_no_folder(tmp_path: Path, unsharded: Vectors) -> None:
    for shard in ("2/2", "1/2"):
        _encode_shard(_machine(tmp_path / "shared"), shard)

    assert merge(_texts, _machine(tmp_path / "shared"), [], CHUNK).tobytes() == unsharded.tobytes()


def test_any_folder_above_or_of_the_parts_will_do(machines: list[Path], unsharded: Vectors, tmp_path: Path) -> None:
    (parts,) = (_machine(machines[1]).parts).iterdir()

    vectors = merge(_texts, _machine(tmp_path / "new"), [machines[0], parts, machines[2] / "cache"], CHUNK)
    assert vectors.tobytes() == unsharded.tobytes()


def test_an_unsharded_run_goes_on_from_shards(machines: list[Path], unsharded: Vectors) -> None:
    vectors, computed = encode_all(_texts, Numbers(), _machine(machines[0]), chunk=CHUNK)

    assert computed == 35 - 12
    assert vectors.tobytes() == unsharded.tobytes()


def test_a_missing_shard_is_named(machines: list[Path]) -> None:
    _refused(machines[0], [machines[2]], r"^shard 2/3 is missing: 4 of 12 chunks$")


def test_a_shard_that_is_not_finished_is_named(machines: list[Path]) -> None:
    next(part_files(machines[2])).unlink()

    _refused(
        machines[0], [machines[2]], r"^shard 2/3 is missing: 4 of 12 chunks; shard 3/3 is missing: 1 of 12 chunks$"
    )


def test_gaps_between_shards_of_other_counts_are_named_by_chunk(machines: list[Path], tmp_path: Path) -> None:
    _encode_shard(_machine(tmp_path / "half"), "1/2")  # 0, 2, 4, ...

    _refused(machines[0], [tmp_path / "half"], "^4 of 12 chunks are missing: 1, 5, 7, 11$")


def test_a_folder_without_parts_is_named(machines: list[Path], tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()

    _refused(machines[0], [tmp_path / "nothing"], r"nothing: no part of an encoding")


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_damaged_part_is_named(machines: list[Path], cut: int) -> None:
    *_, path = part_files(machines[1])
    path.write_bytes(path.read_bytes()[:cut])

    _refused(machines[0], machines[1:], f"{path}: damaged")


def test_a_part_whose_vectors_were_changed_is_named(machines: list[Path]) -> None:
    path = next(part_files(machines[1]))
    with safe_open(path, framework="np") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in ("keys", "vectors")}
    save_file({**tensors, "vectors": tensors["vectors"] + 1}, path, metadata)

    _refused(machines[0], machines[1:], f"{path}: damaged: its contents do not fit its checksum")


@pytest.mark.parametrize(
    ("encoder", "name"),
    [("cccc-bbbb-128", "text encoder"), ("aaaa-cccc-128", "tokenizer"), ("aaaa-bbbb-64", "number of tokens")],
)
def test_a_part_of_another_encoder_is_named(encoder: str, name: str, machines: list[Path], tmp_path: Path) -> None:
    _encode_shard(_machine(tmp_path / "foreign", encoder), "2/3")

    _refused(machines[0], [tmp_path / "foreign", machines[2]], rf"foreign.*part.safetensors: made with another {name} ")


def test_a_part_of_another_catalogue_is_named(machines: list[Path], tmp_path: Path) -> None:
    _encode_shard(_machine(tmp_path / "older"), "2/3", TEXTS[1:])

    _refused(machines[0], [tmp_path / "older", machines[2]], r"older.*part.safetensors: part of another encoding")


def test_parts_of_two_runtimes_are_not_mixed(machines: list[Path], tmp_path: Path) -> None:
    _encode_shard(_machine(tmp_path / "gpu"), "2/3", runtime="Triton")

    _refused(
        machines[0], [tmp_path / "gpu", machines[2]], r"different runtimes are not mixed: .* by Triton and .* by here"
    )


def test_the_same_chunk_with_other_vectors_is_refused(machines: list[Path], tmp_path: Path) -> None:
    _encode_shard(_machine(tmp_path / "odd"), "1/3", offset=0.5)

    _refused(machines[0], [tmp_path / "odd", *machines[1:]], "the same texts with different vectors")
