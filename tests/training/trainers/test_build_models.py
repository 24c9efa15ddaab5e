"""Training end to end on a small shop: what comes out, and that it ranks better than what needs no training."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.demo_rankers import ndcg_table
from shopfuse.evaluation.offline.judged_cases import Quality
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.ranking.tensors import submodels
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.trainers.build_models import build_models
from tests.training.conftest import TEXT_DIM, Shop, encode_words
from tests.training.random_tensors import random_inputs


def test_every_module_has_the_declared_signature(models: ShopModels) -> None:
    for name, module in models.modules.items():
        declared = submodels(TEXT_DIM)[name]
        axes = {"candidates": 32, "length": 16}
        inputs = random_inputs(declared, 3, axes)

        with torch.no_grad():
            outputs = module(*inputs.values())

        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        assert [tuple(output.shape) for output in outputs] == [tensor.shape(3, axes) for tensor in declared.outputs]
        assert all(torch.isfinite(output).all() for output in outputs)


def test_the_trained_ranker_can_be_exported_with_free_batch_and_candidates(models: ShopModels) -> None:
    declared = submodels(TEXT_DIM)["fusion_ranker"]
    inputs = random_inputs(declared, 2, {"candidates": 32})
    batch, candidates = torch.export.Dim("batch", max=16), torch.export.Dim("candidates", min=2, max=512)
    shapes = {
        tensor.name: {0: batch, 1: candidates} if "candidates" in tensor.dims else {0: batch}
        for tensor in declared.inputs
    }

    program = torch.export.export(models.fusion_ranker, (), inputs, dynamic_shapes=shapes)

    other = random_inputs(declared, 5, {"candidates": 64}, seed=1)
    with torch.no_grad():
        expected, _ = models.fusion_ranker(**other)
        actual, _ = program.module()(**other)
    assert torch.allclose(actual, expected, atol=1e-6)


def lead(first: Quality, second: Quality) -> tuple[float, float]:
    """How far the first ranks better on the same cases: the paired 95 % interval."""
    return bootstrap_interval(first.values - second.values, seed=0)


def test_the_fused_ranker_beats_what_needs_no_training(shop: Shop, models: ShopModels) -> None:
    """A shop this small cannot tell close ones apart: here only what must never fail."""
    names = ("fused", "text only", "image only", "behaviour only", "popularity", "bm25", "item_knn")
    rows = {row.name: row for row in ndcg_table(shop.workspace, models, shop.text_vectors, encode_words, names)}

    fused = rows.pop("fused")
    assert lead(fused.search, rows["popularity"].search)[0] > 0.1
    assert lead(fused.recommend, rows["popularity"].recommend)[0] > 0.03
    for name, row in rows.items():
        assert lead(fused.search, row.search)[1] > 0, name
        assert lead(fused.recommend, row.recommend)[1] > -0.01, name  # behaviour alone is 0.01 better in this one
    for name in ("image only", "bm25", "item_knn"):
        assert lead(fused.search, rows[name].search)[0] > 0, name


def test_how_the_models_were_made_lies_beside_the_weights(shop: Shop, models: ShopModels) -> None:
    for name in models.modules:
        meta = json.loads((shop.workspace.paths.checkpoints / name / "meta.json").read_text())

        assert meta["seed"] == 0
        assert meta["fusion"] == "attention"
        assert meta["metrics"]["validation_ndcg"]["attention"] > meta["metrics"]["validation_ndcg"]["weighted"]


def test_a_shop_without_events_gets_fitted_models(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> None:
    workspace = Workspace.create(tmp_path_factory.mktemp("quiet") / "shop")
    workspace.paths.catalogue.mkdir()
    shop.catalogue.frame.write_parquet(workspace.paths.items)

    models = build_models(workspace, shop.text_vectors, encode_words)

    assert models.fusion == "weighted"
    assert models.tasks == {"relevance": 1.0}
    assert models.image_encoder is None
    assert not models.behaviour_present.any()


def test_attention_without_events_is_refused(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> None:
    workspace = Workspace.create(tmp_path_factory.mktemp("refused") / "shop")
    workspace.paths.catalogue.mkdir()
    shop.catalogue.frame.head(10).write_parquet(workspace.paths.items)

    with pytest.raises(ShopfuseError, match="needs events"):
        build_models(workspace, shop.text_vectors[:10], encode_words, fusion="attention")


def test_an_unknown_fusion_is_refused(shop: Shop) -> None:
    with pytest.raises(ShopfuseError, match="expected one of auto, weighted"):
        build_models(shop.workspace, shop.text_vectors, encode_words, fusion="magic")


def test_the_logged_features_lie_in_the_workspace(shop: Shop, models: ShopModels) -> None:
    logged = pl.read_parquet(shop.workspace.root / "cache" / "logged_features.parquet")

    assert len(logged) == models.made_by["lists"]
    assert np.isfinite(np.array(logged["features"].to_list())).all()


def test_lists_that_were_shown_teach_nothing_of_similar_items(models: ShopModels) -> None:
    assert models.metrics["similar_lead"]["lists"] == 0
    assert not models.ranks_similar
