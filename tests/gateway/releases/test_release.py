"""A gateway serves a whole release of its own feature schema, or refuses to start with one clear line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.ranking.tensors import submodels
from shopfuse.release.manifest import ReleaseError
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from shopfuse_gateway.server import open_gateway
from shopfuse_gateway.settings import Settings, SettingsError
from tests.gateway.release_edits import BREAKS, Damage, edit_manifest, manifest_of
from tests.gateway.shop import Changes


async def refusal(workspace: Path, release_id: str = "") -> str:
    with pytest.raises(ReleaseError) as caught:
        async with open_gateway(Settings(workspace, "127.0.0.1:1", release_id=release_id)):
            pytest.fail("the gateway started")
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["items/item_vectors.npy", "indexes/semantic.faiss", "indexes/popular_rows.npy", "tokenizer.json"]
)
async def test_truncated_file_is_named(copied: Path, name: str) -> None:
    path = copied / "releases" / "r1" / name
    path.write_bytes(path.read_bytes()[:-10])

    assert name in await refusal(copied)


@pytest.mark.parametrize("name", ["items/ids.npy", "indexes/behaviour.faiss", "manifest.json", "manifest.sig"])
async def test_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / "releases" / "r1" / name).unlink()

    assert name in await refusal(copied)


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__)
async def test_release_with_parts_that_do_not_belong_does_not_start(copied: Path, damage: Damage) -> None:
    damage(copied, "r1")

    assert BREAKS[damage][1] in await refusal(copied)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("text_dim", 9, "expected"),
        ("max_tokens", -1, "tokenizer of -1 tokens"),
        ("repeat_purchases", "often", "its choice of repeat purchases is 'often'"),
        ("repeat_purchases_by_category", {"Shop": "no"}, "its choice of repeat purchases is 'no'"),
    ],
)
async def test_manifest_that_does_not_fit_its_files_is_refused(
    copied: Path, field: str, value: object, problem: str
) -> None:
    edit_manifest(copied, "r1", **{field: value})

    assert problem in await refusal(copied)


@pytest.mark.parametrize(("part", "name"), [("models", "user_tower"), ("ensembles", "encode_query")])
async def test_manifest_without_a_model_is_refused(copied: Path, part: str, name: str) -> None:
    named = manifest_of(copied, "r1")[part]
    del named[name]
    edit_manifest(copied, "r1", **{part: named})

    problem = await refusal(copied)

    assert "names no" in problem and name in problem


async def test_unknown_release_and_empty_workspace_are_refused(copied: Path, tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()

    assert "r9" in await refusal(copied, "r9")
    assert "nothing is published yet" in await refusal(empty)


def test_ensemble_takes_what_both_its_models_take_but_what_one_hands_to_the_other(built: Path) -> None:
    release = LoadedRelease.open(built, "r1", WorkspacePaths(built).public_key)
    names = [tensor.name for tensor in release.models.rank_by_vector.inputs]
    declared = submodels(release.manifest.text_dim)

    assert len(names) == len(set(names)) and "user_vector" not in names
    assert set(names) | {"user_vector"} == {
        tensor.name for model in ("user_tower", "fusion_ranker") for tensor in declared[model].inputs
    }


@pytest.mark.parametrize(
    "change",
    [
        {"deadline_s": 0.0},
        {"pool": 0},
        {"pool": 513},
        {"reserve_s": -1.0},
        {"grpc_port": 70_000},
        {"triton": "localhost"},
        {"follow_s": 0.0},
        {"workspace": Path("/no/such/folder")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_setting_that_cannot_work_is_named(built: Path, change: Changes) -> None:
    (name,) = change
    with pytest.raises(SettingsError, match=name):
        replace(Settings(built, "127.0.0.1:8001"), **change)


async def test_two_gateways_do_not_share_a_port_by_accident(built: Path) -> None:
    async with open_gateway(Settings(built, "127.0.0.1:1")) as first:
        with pytest.raises(SettingsError, match="grpc_port"):
            async with open_gateway(Settings(built, "127.0.0.1:1", grpc_port=first.grpc_port)):
                pytest.fail("a second gateway took the port")
        with pytest.raises(SettingsError, match="metrics_port"):
            async with open_gateway(Settings(built, "127.0.0.1:1", metrics_port=first.metrics_port)):
                pytest.fail("a second gateway took the port")


def test_tokenizer_is_shared_by_releases_with_the_same_words(built: Path, copied: Path) -> None:
    first = LoadedRelease.open(built, "r1", WorkspacePaths(built).public_key)
    second = LoadedRelease.open(built, "r2", WorkspacePaths(built).public_key, [first])
    edit_manifest(copied, "r3", max_tokens=3)
    third = LoadedRelease.open(copied, "r3", WorkspacePaths(copied).public_key, [first, second])

    assert second.tokenizer is first.tokenizer and third.tokenizer is not first.tokenizer
    assert len(third.tokenizer.encode("red shoes " * 5).ids) == 3 < len(first.tokenizer.encode("red shoes " * 5).ids)
