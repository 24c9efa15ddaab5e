"""Texts become the vectors that the graph gives them, whatever their order, and a rebuild encodes only what changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.inference.onnx_model import ModelFileError, OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer, padded
from shopfuse_exporters.encoding.run import encode_texts
from shopfuse_exporters.encoding.vector_cache import VectorCache
from tests.exporters.small_shop import WORDS, save_tokenizer
from tests.exporters.tiny_models import ENCODER, TINY


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


@pytest.fixture
def encoding(encoder_file: Path, tokenizer_file: Path) -> TextEncoding:
    return TextEncoding(OnnxModel(ENCODER, encoder_file), open_tokenizer(tokenizer_file, max_tokens=16))


def _texts(count: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(0, 20))) for _ in range(count)]


def test_each_text_gets_the_vector_it_gets_alone(encoding: TextEncoding) -> None:
    texts = _texts(100)

    together = encoding.encode(texts)
    alone = np.concatenate([encoding.encode([text]) for text in texts])
    assert together.shape == (100, TINY)
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together[[bool(text) for text in texts]], axis=1), 1.0, atol=1e-5)


def test_texts_are_cut_at_the_most_tokens_and_not_padded_by_the_tokenizer(encoding: TextEncoding) -> None:
    assert [len(ids) for ids in encoding.tokens(["lamp", "red " * 40])] == [1, 16]


def test_token_lists_are_padded_to_a_multiple_of_eight() -> None:
    inputs = padded([[5] * 9, []])

    assert inputs["input_ids"].shape == (2, 16)
    assert inputs["attention_mask"].sum(1).tolist() == [9, 0]


def test_progress_counts_up_to_all_texts(encoding: TextEncoding) -> None:
    calls: list[tuple[str, int, int]] = []

    encoding.encode(_texts(60), lambda stage, done, total: calls.append((stage, done, total)))
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    assert calls[-1] == ("encode texts", 60, 60)


def test_a_rebuild_encodes_only_new_texts(encoding: TextEncoding, tmp_path: Path) -> None:
    first, computed = encode_texts(["red lamp", "oak chair", "red lamp"], encoding, VectorCache(tmp_path, TINY))
    again, computed_again = encode_texts(["oak chair", "blue lamp"], encoding, VectorCache(tmp_path, TINY))

    assert (computed, computed_again) == (2, 1)
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(first[1], again[0])
    np.testing.assert_allclose(again[1], encoding.encode(["blue lamp"])[0], atol=1e-3)


@pytest.mark.parametrize(("contents", "problem"), [(None, "no tokenizer"), ("{}", "not a tokenizer")])
def test_a_missing_or_damaged_tokenizer_is_named(contents: str | None, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    if contents is not None:
        path.write_text(contents)

    with pytest.raises(ModelFileError, match=f"tokenizer.json: {problem}"):
        open_tokenizer(path, 16)
