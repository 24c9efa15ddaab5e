"""The models of a training read back as they were; what is no such thing is refused by name."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.tensors import D_IMAGE, TOKEN
from shopfuse.training.checkpoints.model_files import load_models, save_models
from shopfuse.training.checkpoints.shop_models import ShopModels, fitted_models
from shopfuse.training.fusion.ranker import METHODS, FusionRanker
from shopfuse.training.models.image_encoder import ImageEncoder
from shopfuse.training.models.image_tower import ImageTower
from shopfuse.training.models.towers import ItemTower, QueryTower, UserTower

IDS = ["a", "b", "c"]


def fitted() -> ShopModels:
    return fitted_models(np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32), ("holiday",), "vote")


def trained() -> ShopModels:
    torch.manual_seed(0)
    return replace(
        fitted(),
        query_tower=QueryTower(8).eval(),
        item_tower=ItemTower(8).eval(),
        user_tower=UserTower().eval(),
        fusion_ranker=FusionRanker().eval(),
        image_encoder=ImageEncoder().eval(),
        image_tower=ImageTower(D_IMAGE).eval(),
        behaviour_embeddings=np.arange(3 * TOKEN, dtype=np.float32).reshape(3, TOKEN),
        behaviour_present=np.array([True, False, True]),
        fusion="attention",
    )


def fused_by(method: str) -> ShopModels:
    torch.manual_seed(0)
    return replace(fitted(), fusion_ranker=FusionRanker(method).eval(), fusion=method)


def same_weights(left: nn.Module, right: nn.Module) -> bool:
    actual, expected = left.state_dict(), right.state_dict()
    return actual.keys() == expected.keys() and all(torch.equal(actual[name], expected[name]) for name in actual)


@pytest.mark.parametrize("make", [fitted, trained, *(partial(fused_by, method) for method in METHODS)])
def test_saved_models_are_loaded_as_they_were(make: Callable[[], ShopModels], tmp_path: Path) -> None:
    saved = make()
    save_models(tmp_path, saved, IDS, seed=1)

    loaded = load_models(tmp_path, IDS)
    assert loaded.modules.keys() == saved.modules.keys()
    assert all(same_weights(loaded.modules[name], module) for name, module in saved.modules.items())
    assert not any(module.training for module in loaded.modules.values())
    assert (loaded.fusion, loaded.tasks, loaded.scenes) == (saved.fusion, saved.tasks, saved.scenes)
    kept = saved.behaviour_present
    np.testing.assert_array_equal(loaded.behaviour_present, kept)
    np.testing.assert_array_equal(loaded.behaviour_embeddings[kept], saved.behaviour_embeddings[kept])


def test_embeddings_follow_their_items_when_the_catalogue_changes(tmp_path: Path) -> None:
    save_models(tmp_path, trained(), IDS, seed=1)

    loaded = load_models(tmp_path, ["new", "c", "a"])
    assert loaded.behaviour_present.tolist() == [False, True, True]
    np.testing.assert_array_equal(loaded.behaviour_embeddings[1], trained().behaviour_embeddings[2])


def test_a_shop_without_images_forgets_the_image_encoder_of_before(tmp_path: Path) -> None:
    save_models(tmp_path, trained(), IDS, seed=1)
    save_models(tmp_path, replace(trained(), image_encoder=None, image_tower=None), IDS, seed=2)

    assert load_models(tmp_path, IDS).image_encoder is None


def test_an_image_encoder_without_its_tower_is_refused(tmp_path: Path) -> None:
    save_models(tmp_path, trained(), IDS, seed=1)
    (tmp_path / "image_tower").rename(tmp_path / "picture_tower")  # as it was called once

    with pytest.raises(ShopfuseError, match="expected image_encoder and image_tower, found image_encoder alone"):
        load_models(tmp_path, IDS)


def damage(folder: Path, kind: str) -> None:
    weights = folder / "query_tower/model.safetensors"
    tensors = load_file(weights)
    if kind == "missing tensor":
        save_file({name: value for name, value in tensors.items() if name != "straight.bias"}, weights)
    elif kind == "wrong shape":
        save_file({**tensors, "straight.bias": torch.zeros(3)}, weights)
    elif kind == "pickle":
        weights.write_bytes(pickle.dumps({name: value.numpy() for name, value in tensors.items()}))
    elif kind == "missing file":
        weights.unlink()
    elif kind == "unknown class":
        meta = folder / "query_tower/meta.json"
        meta.write_text(meta.read_text().replace("QueryTower", "os.system"))
    elif kind == "another version":
        meta = folder / "fusion_ranker/meta.json"
        meta.write_text(meta.read_text().replace("ranks_similar", "orders_similar"))
    else:
        (folder / "behaviour.parquet").write_bytes(b"PAR1")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("missing tensor", r"query_tower: not a checkpoint of QueryTower .*straight\.bias"),
        ("wrong shape", r"query_tower: not a checkpoint of QueryTower .*size mismatch for straight\.bias"),
        ("pickle", r"query_tower/model\.safetensors: not a safetensors file"),
        ("missing file", r"query_tower/model\.safetensors: missing; train the shop first"),
        ("unknown class", r"query_tower: not a checkpoint of a known class"),
        ("another version", r"made by another version, which did not write 'ranks_similar'; train again"),
        ("embeddings", r"behaviour\.parquet: not the embeddings of items"),
    ],
)
def test_what_is_no_checkpoint_is_refused_by_name(kind: str, text: str, tmp_path: Path) -> None:
    save_models(tmp_path, trained(), IDS, seed=1)
    damage(tmp_path, kind)

    with pytest.raises(ShopfuseError, match=f"(?s){text}"):
        load_models(tmp_path, IDS)


def test_parts_of_two_trainings_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_models(tmp_path / name, trained(), IDS, seed=1)
    (tmp_path / "two/user_tower").rename(tmp_path / "other")
    (tmp_path / "one/user_tower").rename(tmp_path / "two/user_tower")

    with pytest.raises(ShopfuseError, match="parts of different trainings"):
        load_models(tmp_path / "two", IDS)
