"""Texts become the vectors that the graph gives them, whatever their order and company."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.inference.onnx_model import ModelFileError, OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer, padded
from tests.exporters.small_shop import WORDS, save_tokenizer
from tests.exporters.tiny_models import ENCODER, TINY, TinyEncoder, exported


@pytest.fixture(scope="module")
def encoding(tmp_path_factory: pytest.TempPathFactory) -> TextEncoding:
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = open_tokenizer(save_tokenizer(folder / "tokenizer.json"), max_tokens=16)
    return TextEncoding(OnnxModel(ENCODER, exported(ENCODER, TinyEncoder(), folder)), tokenizer)


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


@pytest.mark.parametrize(("contents", "problem"), [(None, "no tokenizer"), ("{}", "not a tokenizer")])
def test_a_missing_or_damaged_tokenizer_is_named(contents: str | None, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    if contents is not None:
        path.write_text(contents)

    with pytest.raises(ModelFileError, match=f"tokenizer.json: {problem}"):
        open_tokenizer(path, 16)
