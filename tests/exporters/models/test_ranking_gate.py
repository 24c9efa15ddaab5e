"""The ranking gate on real encoders: honest precisions pass, one that is bad on purpose does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

from shopfuse.inference.text_encoding import open_tokenizer, padded
from shopfuse.ranking.tensors import submodels
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.models.text_encoder import LoadedTextEncoder, load_text_encoder
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.models.ranking_gate import gate_lists, gate_texts
from shopfuse_exporters.onnx.sample_inputs import random_inputs
from shopfuse_exporters.verify import verified_model
from shopfuse_exporters.verify.verified_model import VerifiedModel, export_verified
from tests.exporters.conftest import Export

KINDS = [
    "running shoes",
    "table lamp",
    "office chair",
    "frying pan",
    "rain jacket",
    "laptop bag",
    "garden hose",
    "desk",
]
ADJECTIVES = [
    "red",
    "blue",
    "oak",
    "steel",
    "small",
    "folding",
    "waterproof",
    "vintage",
    "cheap",
    "wireless",
    "kids",
    "heavy",
]
TEXTS = [
    f"{adjective} {kind} for {other}" for adjective in ADJECTIVES for kind in KINDS for other in ("home", "travel")
]
QUERIES = [f"{adjective} {kind}" for adjective in ADJECTIVES[:4] for kind in KINDS]


@pytest.fixture(scope="module")
def encoder() -> LoadedTextEncoder:
    return load_text_encoder("embedded")


@pytest.fixture(scope="module")
def tokenizer(encoder: LoadedTextEncoder) -> Tokenizer:
    return open_tokenizer(Path(encoder.tokenizer_json), encoder.max_tokens)


@pytest.fixture(scope="module")
def int8(encoder: LoadedTextEncoder, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> VerifiedModel:
    """Exported, converted and gated; the fp32 file lies beside it."""
    real = padded([encoding.ids for encoding in tokenizer.encode_batch(TEXTS[:48])])
    declaration = submodels(encoder.text_dim)["text_encoder"]
    return export_verified(declaration, encoder.module, tmp_path_factory.mktemp("int8"), real, "int8")


def test_honest_int8_passes_both_gates(int8: VerifiedModel, encoder: LoadedTextEncoder, tokenizer: Tokenizer) -> None:
    gated = gate_texts(int8, encoder.module, tokenizer, QUERIES, TEXTS)

    assert int8.report.passed
    assert 0.97 < int8.report.cosine_min < 0.9999
    assert int8.report.neighbours > 1e-4  # dynamic scales: a row does depend on its neighbours, and it is measured
    assert gated.report.passed
    ranking = gated.report.ranking
    assert ranking is not None
    assert (ranking.queries, ranking.items) == (32, 192)
    assert 0.9 <= ranking.overlap < 1.0
    assert 0.0 < ranking.ndcg_loss <= 0.005


def test_int8_that_is_bad_on_purpose_is_refused(
    int8: VerifiedModel, encoder: LoadedTextEncoder, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Every table and product of a model whose weights were rounded to a handful of steps."""
    coarse = onnx.load(int8.path.with_name("text_encoder.onnx"))
    for tensor in coarse.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 2 and values.dtype == np.float32:
            step = np.abs(values).max() / 12
            tensor.CopyFrom(numpy_helper.from_array((np.round(values / step) * step).astype(np.float32), tensor.name))
    onnx.save(coarse, tmp_path / "coarse.onnx")
    quantize_dynamic(tmp_path / "coarse.onnx", tmp_path / "bad.onnx", weight_type=QuantType.QInt8)
    bad = replace(int8, path=tmp_path / "bad.onnx")

    with pytest.raises(
        ParityError, match=r"text_encoder: in int8 it ranks 32 golden queries differently: top-10 overlap"
    ):
        gate_texts(bad, encoder.module, tokenizer, QUERIES, TEXTS)
    accepted = gate_texts(bad, encoder.module, tokenizer, QUERIES, TEXTS, accept="for a speed test")
    assert not accepted.report.passed
    assert accepted.report.accepted == "for a speed test"


@pytest.mark.parametrize(("queries", "texts"), [([], TEXTS), (QUERIES, [])])
def test_an_empty_golden_set_is_refused(
    queries: Sequence[str], texts: Sequence[str], int8: VerifiedModel, encoder: LoadedTextEncoder, tokenizer: Tokenizer
) -> None:
    with pytest.raises(ParityError, match=f"golden set is empty: {len(queries)} queries, {len(texts)} items"):
        gate_texts(int8, encoder.module, tokenizer, queries, texts, accept="no reason is good enough")


@pytest.fixture(scope="module")
def ranker(export_once: Export, tmp_path_factory: pytest.TempPathFactory) -> VerifiedModel:
    declaration = submodels(8)["fusion_ranker"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verified_model, "export_submodel", export_once)
        return export_verified(declaration, FusionRanker("weighted"), tmp_path_factory.mktemp("ranker"))


def test_the_ranker_orders_lists_as_torch_does(ranker: VerifiedModel) -> None:
    lists = random_inputs(ranker.declaration, 5, {"candidates": 40}, np.random.default_rng(1))
    lists["candidate_mask"] = np.ones((5, 40), np.float32)

    report = gate_lists(ranker, FusionRanker("weighted"), lists, {"relevance": 1.0}).report
    assert report.passed
    assert report.ranking is not None
    assert (report.ranking.queries, report.ranking.items, report.ranking.overlap) == (20, 40, 1.0)
    with pytest.raises(ParityError, match="fusion_ranker: in fp32 it ranks 20 golden queries differently"):
        gate_lists(ranker, FusionRanker("vote"), lists, {"relevance": 1.0})


def test_a_ranker_without_lists_or_tasks_is_refused(ranker: VerifiedModel) -> None:
    with pytest.raises(ParityError, match="fusion_ranker: the golden set is empty: 0 real inputs"):
        gate_lists(ranker, FusionRanker("weighted"), {}, {"relevance": 1.0})
    with pytest.raises(ParityError, match=r"the golden set is empty: .*tasks \{'clicks': 1\.0\}"):
        gate_lists(ranker, FusionRanker("weighted"), {"context": np.zeros((1, 1))}, {"clicks": 1.0})
