"""What the cache knows is one whole catalogue, or nothing; a crash or damage costs computing, never a wrong vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer
from shopfuse_exporters.encoding.run import encode_texts
from shopfuse_exporters.encoding.vector_cache import VectorCache, Vectors, encoder_folder, keys_of, places_among
from tests.exporters.small_shop import save_tokenizer
from tests.exporters.tiny_models import ENCODER, TINY

DIMS = 4


def _ones(vectors: Vectors) -> None:
    vectors[:] = 1.0


def _filled(folder: Path, texts: list[str]) -> VectorCache:
    cache = VectorCache(folder, DIMS)
    cache.keep(keys_of(texts), _ones, ["here"])
    return cache


def test_vectors_are_found_again_by_text(tmp_path: Path) -> None:
    _filled(tmp_path, ["red lamp", "oak chair"])

    known = VectorCache(tmp_path, DIMS).known
    assert places_among(known.keys, keys_of(["oak chair", "blue lamp", "red lamp"])).tolist() == [1, -1, 0]
    assert known.vectors.shape == (2, DIMS)
    assert known.runtimes == ("here",)
    with pytest.raises(ValueError, match="read-only"):
        known.vectors[0] = 0.0


def test_nothing_is_known_of_an_empty_folder(tmp_path: Path) -> None:
    assert places_among(VectorCache(tmp_path, DIMS).known.keys, keys_of(["lamp"])).tolist() == [-1]


def test_a_catalogue_replaces_the_one_before(tmp_path: Path) -> None:
    cache = _filled(tmp_path, ["red lamp", "oak chair"])
    cache.keep(keys_of(["blue lamp"]), _ones, ["here"])

    assert (
        cache.known.keys.tolist() == VectorCache(tmp_path, DIMS).known.keys.tolist() == keys_of(["blue lamp"]).tolist()
    )
    assert [path.name for path in tmp_path.iterdir()] == ["known-000002"]


def test_a_crash_while_writing_leaves_what_was_known(tmp_path: Path) -> None:
    cache = _filled(tmp_path, ["red lamp"])

    def crash(vectors: Vectors) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.keep(keys_of(["blue lamp"]), crash, ["here"])
    assert VectorCache(tmp_path, DIMS).known.keys.tolist() == keys_of(["red lamp"]).tolist()


@pytest.mark.parametrize("name", ["keys.npy", "vectors.npy", "made_with.json"])
def test_a_damaged_file_is_as_if_nothing_were_known(name: str, tmp_path: Path) -> None:
    _filled(tmp_path, ["red lamp"])
    (tmp_path / "known-000001" / name).write_bytes(b"\x93NUMPY")

    assert len(VectorCache(tmp_path, DIMS).known.keys) == 0


def test_vectors_of_another_length_are_not_known(tmp_path: Path) -> None:
    _filled(tmp_path, ["red lamp"])

    assert len(VectorCache(tmp_path, DIMS + 1).known.keys) == 0


def test_keys_compare_whole_when_they_end_in_zero_bytes() -> None:
    keys = np.array([b"a" * 15 + b"\0", b"a" * 15, b"a" * 14 + b"\0b"], "S16")

    assert places_among(keys, keys[2:]).tolist() == [2]


def test_each_encoder_tokenizer_and_truncation_has_its_folder(tmp_path: Path) -> None:
    sha, other = "a" * 64, "b" * 64
    folders = {
        encoder_folder(tmp_path, *of) for of in [(sha, sha, 128), (other, sha, 128), (sha, other, 128), (sha, sha, 64)]
    }

    assert len(folders) == 4


def test_a_rebuild_encodes_only_new_texts(encoder_file: Path, tmp_path: Path) -> None:
    tokenizer = open_tokenizer(save_tokenizer(tmp_path / "tokenizer.json"), 16)
    encoding = TextEncoding(OnnxModel(ENCODER, encoder_file), tokenizer)

    first, computed = encode_texts(["red lamp", "oak chair", "red lamp"], encoding, VectorCache(tmp_path, TINY))
    again, computed_again = encode_texts(["oak chair", "blue lamp"], encoding, VectorCache(tmp_path, TINY))

    assert (computed, computed_again) == (2, 1)
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(first[1], again[0])
    np.testing.assert_allclose(again[1], encoding.encode(["blue lamp"])[0], atol=1e-3)
