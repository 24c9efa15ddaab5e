"""A build that trains the shop's own text encoder: exported, tried, released and found again."""

from __future__ import annotations

import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import silent
from shopfuse.datasets.schema import EVENT_SCHEMA
from shopfuse.datasets.shop_settings import ShopSettings
from shopfuse.datasets.workspace import Workspace
from shopfuse.inference.release_models import ReleaseModels
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.vector_channels import TEXT_INDEX
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, parse_manifest
from shopfuse.training.checkpoints.own_encoder import encoder_name
from shopfuse.training.models.subword_encoder import TOKENIZER, WEIGHTS
from shopfuse.training.models.text_encoder import LoadedTextEncoder, load_text_encoder
from shopfuse.training.trainers.subword_encoder import SubwordTraining, train_subword_encoder
from shopfuse_exporters import build
from shopfuse_exporters.build import BuildOptions, build_workspace
from shopfuse_exporters.encoding.workspace import encode_workspace
from shopfuse_exporters.models import own_encoder
from shopfuse_exporters.models.exporter import ModelExporter
from shopfuse_exporters.models.own_encoder import known_encoder, learn_encoder
from shopfuse_exporters.models.shop import load_catalogue_of
from shopfuse_exporters.models.text_encoder import Learning, TakenEncoder, take_text_encoder
from shopfuse_exporters.precision.precisions import Precisions
from shopfuse_exporters.steps import StepTimes
from shopfuse_exporters.verify import verified_model
from tests.exporters.conftest import Export
from tests.exporters.small_shop import DAY, fit, tiny_text_encoder
from tests.training.many_names import items_of_many_names, slang_searches


def write_shop(root: Path, items: int = 600, searches: bool = True, named: str = "catalogue") -> Workspace:
    workspace = Workspace.create(root, ShopSettings(language="und", text_encoder=named))
    workspace.paths.catalogue.mkdir(exist_ok=True)
    items_of_many_names(items).write_parquet(workspace.paths.items)
    events = [
        {
            "event_id": f"e{at}-{name}",
            "event_name": name,
            "timestamp": DAY + timedelta(minutes=at, seconds=name != "search"),
            "user_id": f"u{at}",
            "session_id": f"s{at}",
            "request_id": f"r{at}",
            "query": query,
            "item_id": None if name == "search" else f"i{number:04d}",
        }
        for at, (query, number) in enumerate(slang_searches(items) if searches else ())
        for name in ("search", "select_item")
    ]
    if events:
        workspace.paths.events.mkdir(exist_ok=True)
        pl.DataFrame(events, EVENT_SCHEMA).write_parquet(workspace.paths.events_of(DAY.date()))
    return workspace


def learn_quickly(patch: pytest.MonkeyPatch) -> None:
    short = SubwordTraining(steps=(100, 100), dims=32)
    patch.setattr(own_encoder, "train_subword_encoder", partial(train_subword_encoder, training=short))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, export_once: Export) -> Path:
    """With one release, whose text encoder was trained on its texts."""
    workspace = write_shop(tmp_path_factory.mktemp("own") / "shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verified_model, "export_submodel", export_once)
        patch.setattr(build, "build_models", fit)
        learn_quickly(patch)
        build_workspace(workspace)
    return workspace.root


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, export_once: Export) -> None:
    monkeypatch.setattr(verified_model, "export_submodel", export_once)
    monkeypatch.setattr(build, "build_models", fit)
    learn_quickly(monkeypatch)


def take(workspace: Workspace, named: LoadedTextEncoder | None) -> TakenEncoder:
    exporter = ModelExporter(workspace.root / "exports", Precisions(), {}, StepTimes(silent))
    catalogue = load_catalogue_of(workspace)
    return take_text_encoder(exporter, workspace, catalogue, named, Learning(train=True, seed=0, progress=silent))


def release_of(root: Path) -> tuple[ReleaseLayout, Manifest]:
    layout = ReleaseLayout(root / "releases" / "r1")
    return layout, parse_manifest(layout.manifest.read_text(), "r1")


def test_an_encoder_that_wins_is_released(shop: Path) -> None:
    layout, manifest = release_of(shop)

    record = manifest.metrics["texts"]["own_encoder"]
    assert manifest.text_encoder == "catalogue"
    assert manifest.without_meaning == ""
    assert record["won"] and record["asked"] == "searches"
    assert record["training"]["searches"] > 0
    assert "NDCG@10" in manifest.made_by["text_encoder"]
    assert manifest.parity["text_encoder"]["passed"]
    assert RecallIndexes.open(layout)[TEXT_INDEX].vectors.any(1).all()


def test_the_released_file_says_what_its_torch_module_says(shop: Path) -> None:
    layout, manifest = release_of(shop)
    encoding = ReleaseModels(layout, manifest).text_encoding()
    loaded = load_text_encoder(encoder_name(Workspace.open(shop)))
    texts = [*items_of_many_names(30)["title"], "手机 unknown", "x" * 600]

    served = encoding.encode(texts)

    with torch.no_grad():
        rows = [torch.tensor([ids]) for ids in encoding.tokens(texts)]
        expected = np.concatenate([loaded.module(ids, torch.ones_like(ids)).numpy() for ids in rows])
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_encoding_beforehand_takes_the_same_encoder(shop: Path) -> None:
    assert encode_workspace(Workspace.open(shop)) == (600, 0)


def test_what_was_trained_is_found_again_with_how_it_did(shop: Path) -> None:
    _, manifest = release_of(shop)

    loaded, trial = known_encoder(Workspace.open(shop), must_be=True)

    assert loaded is not None and loaded.source == "catalogue"
    assert trial is not None and trial.record() == manifest.metrics["texts"]["own_encoder"]


def test_another_training_gives_the_same_weights(shop: Path, tmp_path: Path, quick: None) -> None:
    shutil.copytree(shop, tmp_path / "shop")
    first, again = Workspace.open(shop), Workspace.open(tmp_path / "shop")
    shutil.rmtree(again.paths.own_text_encoder)

    learn_encoder(again, load_catalogue_of(again), 0, must_be=True, progress=silent)

    for name in (WEIGHTS, TOKENIZER):
        weights = [(workspace.paths.own_text_encoder / name).read_bytes() for workspace in (first, again)]
        assert weights[0] == weights[1]


def test_without_training_it_must_have_been_trained(tmp_path: Path, quick: None) -> None:
    with pytest.raises(ShopfuseError, match="no text encoder was trained on the catalogue yet"):
        build_workspace(write_shop(tmp_path / "shop"), BuildOptions(train=False))


def test_a_shop_too_small_to_tell_is_searched_by_words(tmp_path: Path, quick: None) -> None:
    taken = take(write_shop(tmp_path / "shop", items=45, searches=False), None)

    assert taken.loaded.source == "catalogue"
    assert taken.without_meaning.startswith("the catalogue is too small to tell")
    assert taken.told == ""


def test_it_stands_in_for_an_encoder_that_does_not_cover(tmp_path: Path, quick: None) -> None:
    workspace = write_shop(tmp_path / "shop", named="embedded")

    taken = take(workspace, tiny_text_encoder(tmp_path))

    assert taken.loaded.source == "catalogue"
    assert taken.without_meaning == ""
    assert taken.record()["coverage"]["covers"] is False
    assert encoder_name(workspace) == str(workspace.paths.own_text_encoder)


def test_settings_that_name_another_encoder_forget_it(shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop, tmp_path / "shop")
    settings = Workspace.open(shop).paths.settings.read_text().replace("catalogue", "embedded")
    (tmp_path / "shop" / "shop.toml").write_text(settings)

    assert encoder_name(Workspace.open(tmp_path / "shop")) == "embedded"


def test_a_small_shop_whose_encoder_does_not_cover_trains_none(tmp_path: Path, quick: None) -> None:
    workspace = write_shop(tmp_path / "shop", items=45, searches=False, named="embedded")

    taken = take(workspace, tiny_text_encoder(tmp_path))

    assert taken.loaded.source == "tiny"
    assert "does not cover" in taken.without_meaning and "too small to tell" in taken.without_meaning
    assert not workspace.paths.own_text_encoder.exists()
