"""An encoding that was killed, shared out or overtaken by a new catalogue ends with the vectors of an unbroken one.

The encoder here gives a text another vector in other company, which int8 encoders do slightly: that no batch is formed
otherwise is seen in the bytes.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.core.progress import Progress, silent
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer
from shopfuse_exporters.encoding.parts import part_files, part_path, read_part, write_part
from shopfuse_exporters.encoding.plan import WHOLE, EncodingError, Shard, make_plan
from shopfuse_exporters.encoding.run import encode_all, encode_chunks, keys_of_all
from shopfuse_exporters.encoding.vector_cache import VectorCache, Vectors, keys_of
from tests.exporters.small_shop import WORDS, save_tokenizer
from tests.exporters.tiny_models import ENCODER, TINY, TinyEncoder, exported

CHUNK = 8
CHUNKS = 7


def _texts() -> list[str]:
    """50 different texts, and some of them again."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 12))) + f" {number}" for number in range(50)]
    return [*texts[:20], *texts[3:9], *texts[20:], texts[0]]


def _batches(texts: Sequence[str], size: int = 11) -> Iterator[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The encoder that looks at its neighbours, and a tokenizer."""
    folder = tmp_path_factory.mktemp("neighbours")
    return exported(ENCODER, TinyEncoder("batch"), folder), save_tokenizer(folder / "tokenizer.json")


@pytest.fixture(scope="module")
def encoder(files: tuple[Path, Path]) -> TextEncoding:
    return TextEncoding(OnnxModel(ENCODER, files[0]), open_tokenizer(files[1], 16))


@pytest.fixture(scope="module")
def unbroken(encoder: TextEncoding, tmp_path_factory: pytest.TempPathFactory) -> Vectors:
    cache = VectorCache(tmp_path_factory.mktemp("unbroken"), TINY)
    vectors, computed = encode_all(lambda: _batches(_texts()), encoder, cache, chunk=CHUNK)
    assert computed == 50
    return vectors


class _Counting:
    """The encoder, and how many texts it was asked for."""

    def __init__(self, encoder: TextEncoding, runtime: str = "") -> None:
        self._encoder = encoder
        self.dims = encoder.dims
        self.runtime = runtime or encoder.runtime
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str], progress: Progress = silent, stage: str = "") -> NDArray[np.float32]:
        self.texts += texts
        return self._encoder.encode(texts, progress, stage)


def _encode(texts: Sequence[str], encoder: TextEncoding | _Counting, folder: Path) -> tuple[Vectors, int]:
    return encode_all(lambda: _batches(texts), encoder, VectorCache(folder, TINY), chunk=CHUNK)


def test_rows_are_those_of_the_catalogue_and_equal_texts_are_encoded_once(
    unbroken: Vectors, encoder: TextEncoding, tmp_path: Path
) -> None:
    counting = _Counting(encoder)

    vectors, _ = _encode(_texts(), counting, tmp_path)
    assert len(vectors) == 57
    assert counting.texts == list(dict.fromkeys(_texts()))
    np.testing.assert_array_equal(vectors, unbroken)
    np.testing.assert_array_equal(vectors[20:26], vectors[3:9])
    first = encoder.encode(counting.texts[:CHUNK]).astype(np.float16)
    np.testing.assert_array_equal(vectors[:CHUNK], first)


def test_the_company_of_a_text_would_be_seen_in_these_tests(unbroken: Vectors, encoder: TextEncoding) -> None:
    assert np.abs(encoder.encode(_texts()[:5]).astype(np.float16) - unbroken[:5]).max() > 0.01


def test_how_the_catalogue_is_read_does_not_matter(unbroken: Vectors, encoder: TextEncoding, tmp_path: Path) -> None:
    vectors, _ = encode_all(lambda: [_texts()], encoder, VectorCache(tmp_path, TINY), chunk=CHUNK)

    np.testing.assert_array_equal(vectors, unbroken)


def test_an_empty_catalogue_has_no_vectors(encoder: TextEncoding, tmp_path: Path) -> None:
    vectors, computed = _encode([], encoder, tmp_path)

    assert (vectors.shape, computed) == ((0, TINY), 0)


CHILD = """
import os, signal, sys
from pathlib import Path
from shopfuse.core import atomic_files
from shopfuse_exporters.encoding import run as encoding_run
from shopfuse_exporters.encoding import vector_cache
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer
from shopfuse.ranking.tensors import submodels

model, tokenizer, texts, cache, module, name, calls = sys.argv[1:]
owner = globals()[module]
function, left = getattr(owner, name), int(calls)

def deadly(*arguments, **options):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*arguments, **options)

setattr(owner, name, deadly)
encoder = TextEncoding(OnnxModel(submodels(8)["text_encoder"], Path(model)), open_tokenizer(Path(tokenizer), 16))
lines = Path(texts).read_text().splitlines()
encoding_run.encode_all(lambda: [lines], encoder, vector_cache.VectorCache(Path(cache), 8), chunk=8)
"""


@pytest.mark.parametrize(
    ("module", "name", "call", "left"),
    [
        ("encoding_run", "write_part", 4, 3),  # between two parts
        ("atomic_files", "sync", 5, 2),  # a part is written and has no name yet (two syncs for each)
        ("vector_cache", "write_array", 1, CHUNKS),  # all vectors are copied, their keys are not
    ],
)
def test_a_run_that_was_killed_goes_on_and_gives_the_same_bytes(
    module: str, name: str, call: int, left: int, files: tuple[Path, Path], unbroken: Vectors, encoder: TextEncoding,
    tmp_path: Path,
) -> None:  # fmt: skip
    lines, folder = tmp_path / "texts.txt", tmp_path / "cache"
    lines.write_text("\n".join(_texts()))
    command = [sys.executable, "-c", CHILD, *map(str, files), str(lines), str(folder), module, name, str(call)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list(part_files(folder))) == left
    assert not list(folder.glob("known-*"))

    vectors, computed = _encode(_texts(), encoder, folder)
    assert computed == 50 - left * CHUNK if left < CHUNKS else computed == 0
    np.testing.assert_array_equal(vectors, unbroken)
    assert not list(part_files(folder))


def _interrupted(encoder: TextEncoding, folder: Path, shard: Shard = WHOLE, runtime: str = "") -> VectorCache:
    """A cache with the parts of one shard of the catalogue."""
    cache, counting = VectorCache(folder, TINY), _Counting(encoder, runtime)
    plan = make_plan(keys_of(_texts()), cache.known.keys, cache.encoder, counting.runtime, CHUNK)
    encode_chunks(lambda: _batches(_texts()), plan, counting, cache, shard)
    return cache


def test_progress_counts_what_was_done_before(encoder: TextEncoding, tmp_path: Path) -> None:
    cache = _interrupted(encoder, tmp_path, Shard(1, 2))
    calls: list[tuple[str, int, int]] = []

    encode_all(lambda: [_texts()], encoder, cache, lambda *call: calls.append(call), CHUNK)
    assert calls[0] == ("encode texts", 26, 50)
    assert calls[-1] == ("encode texts", 50, 50)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


@pytest.mark.parametrize("damage", [b"", b"\0" * 400])
def test_a_damaged_part_is_computed_again(
    damage: bytes, unbroken: Vectors, encoder: TextEncoding, tmp_path: Path
) -> None:
    cache = _interrupted(encoder, tmp_path)
    path = list(part_files(cache.parts))[2]
    path.write_bytes(damage)

    vectors, computed = _encode(_texts(), encoder, tmp_path)
    assert computed == CHUNK
    np.testing.assert_array_equal(vectors, unbroken)


def test_one_changed_bit_is_found(encoder: TextEncoding, tmp_path: Path) -> None:
    path = next(part_files(_interrupted(encoder, tmp_path).parts))
    contents = bytearray(path.read_bytes())
    contents[-1] ^= 1
    path.write_bytes(contents)

    with pytest.raises(EncodingError, match=f"{path.name}: damaged: its contents do not fit its checksum"):
        read_part(path)


def test_a_part_in_the_place_of_another_is_not_taken_for_it(
    unbroken: Vectors, encoder: TextEncoding, tmp_path: Path
) -> None:
    first, second, *_ = part_files(_interrupted(encoder, tmp_path).parts)
    second.write_bytes(first.read_bytes())

    np.testing.assert_array_equal(_encode(_texts(), encoder, tmp_path)[0], unbroken)


def test_a_catalogue_that_was_encoded_is_not_written_again(encoder: TextEncoding, tmp_path: Path) -> None:
    _encode(_texts(), encoder, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    _, computed = _encode(_texts(), encoder, tmp_path)
    assert computed == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_of_a_changed_catalogue_only_new_texts_are_encoded(
    unbroken: Vectors, encoder: TextEncoding, tmp_path: Path
) -> None:
    _encode(_texts(), encoder, tmp_path)
    counting = _Counting(encoder)

    vectors, _ = _encode(["new lamp", *_texts()[5:], "new chair"], counting, tmp_path)
    assert counting.texts == ["new lamp", "new chair"]
    np.testing.assert_array_equal(vectors[1:-1], unbroken[5:])


def test_a_catalogue_that_changes_half_way_keeps_what_was_finished(
    unbroken: Vectors, encoder: TextEncoding, tmp_path: Path
) -> None:
    _interrupted(encoder, tmp_path, Shard(1, 2))
    counting = _Counting(encoder)

    vectors, _ = _encode(["new lamp", *_texts()], counting, tmp_path)
    assert len(counting.texts) == 1 + 50 - 26
    finished = [row for row, text in enumerate(_texts()) if text not in counting.texts]
    np.testing.assert_array_equal(vectors[1:][finished], unbroken[finished])


def test_parts_of_another_runtime_are_not_mixed_in(unbroken: Vectors, encoder: TextEncoding, tmp_path: Path) -> None:
    cache = _interrupted(encoder, tmp_path, Shard(1, 2), runtime="elsewhere")
    elsewhere = {path: path.read_bytes() for path in part_files(cache.parts)}

    computed = _interrupted(encoder, tmp_path)
    assert elsewhere.items() <= {path: path.read_bytes() for path in part_files(cache.parts)}.items()
    assert len(list(part_files(computed.parts))) == CHUNKS + len(elsewhere)
    np.testing.assert_array_equal(_encode(_texts(), encoder, tmp_path)[0], unbroken)


def test_a_catalogue_that_changes_while_it_is_read_is_refused(encoder: TextEncoding, tmp_path: Path) -> None:
    readings = [_texts(), [*_texts()[:30], "changed", *_texts()[31:]]]

    with pytest.raises(EncodingError, match="catalogue changed while it was being encoded"):
        encode_all(lambda: [readings.pop(0)], encoder, VectorCache(tmp_path, TINY), chunk=CHUNK)


def test_a_vector_that_is_not_finite_names_its_text(encoder: TextEncoding, tmp_path: Path) -> None:
    class Broken(_Counting):
        def encode(self, texts: Sequence[str], progress: Progress = silent, stage: str = "") -> NDArray[np.float32]:
            vectors = super().encode(texts, progress, stage)
            vectors[2, 1] = np.nan
            return vectors

    with pytest.raises(EncodingError, match=r"NaN or infinity for the text '.* 2'"):
        _encode(_texts(), Broken(encoder), tmp_path)
    assert not list(part_files(tmp_path))


def test_a_part_says_what_it_is_of(encoder: TextEncoding, tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "an-encoder-16", TINY)
    keys = keys_of_all(lambda: _batches(_texts()))
    plan = make_plan(keys, cache.known.keys, cache.encoder, encoder.runtime, CHUNK)

    part = read_part(write_part(cache.parts, plan, 6, Shard(1, 2), np.ones((2, TINY), np.float32)))
    assert (part.path, part.chunk, part.shard) == (part_path(cache.parts, plan, 6), 6, "1/2")
    assert (part.encoder, part.runtime, part.plan) == ("an-encoder-16", encoder.runtime, plan.identity)
    np.testing.assert_array_equal(part.keys, plan.keys[48:])


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "a/b", "1/3/5", "-1/2"])
def test_a_shard_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(EncodingError, match=r"expected i/n with 1 <= i <= n"):
        Shard.parse(text)


def test_shards_share_the_chunks_out(encoder: TextEncoding, tmp_path: Path) -> None:
    plan = make_plan(keys_of(_texts()), keys_of([]), "e", "r", CHUNK)

    shares = [plan.chunks_of(Shard.parse(f"{number}/3")) for number in (1, 2, 3)]
    assert sorted(chunk for share in shares for chunk in share) == list(range(CHUNKS))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
