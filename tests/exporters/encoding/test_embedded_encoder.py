"""The embedded text encoder, for real: exported, verified, and the same in this process whatever the padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer, padded
from shopfuse.ranking.tensors import submodels
from shopfuse.training.models.text_encoder import LoadedTextEncoder, load_text_encoder
from shopfuse_exporters.verify.verified_model import VerifiedModel, export_verified

TEXTS = [
    "Red running shoes",
    "Crimson sneakers for joggers",
    "Stainless steel kettle, 1.7 l, with temperature control and a very long description that goes on and on",
    "Laptop charger",
]


@pytest.fixture(scope="module")
def encoder() -> LoadedTextEncoder:
    return load_text_encoder("embedded")


@pytest.fixture(scope="module")
def verified(encoder: LoadedTextEncoder, tmp_path_factory: pytest.TempPathFactory) -> VerifiedModel:
    tokenizer = open_tokenizer(Path(encoder.tokenizer_json), encoder.max_tokens)
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(TEXTS)]
    declaration = submodels(encoder.text_dim)["text_encoder"]
    return export_verified(declaration, encoder.module, tmp_path_factory.mktemp("encoder"), padded(tokens))


def test_it_answers_as_torch_does(verified: VerifiedModel) -> None:
    assert verified.report.max_abs_diff < 1e-5
    assert verified.report.cosine_min > 0.99999
    assert verified.path.stat().st_size < 100e6


def test_similar_texts_are_near_and_a_tokenizer_with_padding_does_no_harm(
    verified: VerifiedModel, encoder: LoadedTextEncoder
) -> None:
    encoding = TextEncoding(verified.open(), open_tokenizer(Path(encoder.tokenizer_json), encoder.max_tokens))

    shoes, sneakers, _, charger = encoding.encode(TEXTS)
    assert encoding.tokens(["red"])[0][0] == 101  # [CLS]
    assert len(encoding.tokens(["red"])[0]) == 3
    assert shoes @ sneakers > 0.5 > shoes @ charger + 0.2
    np.testing.assert_allclose(encoding.encode([TEXTS[0]])[0], shoes, atol=1e-5)
