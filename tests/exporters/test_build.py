"""A workspace becomes a release that verifies and opens; whatever goes wrong, the release before it stays as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, ParamSpec

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.workspace import Workspace, WorkspaceError
from shopfuse.datasets.workspace_lock import WorkspaceLockedError, workspace_lock
from shopfuse.inference.onnx_model import ModelFileError
from shopfuse.recall import word_channels
from shopfuse.recall.co_visit import CO_VISIT_INDEX
from shopfuse.recall.completion.index import CompletionIndex
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.popular import POPULAR_INDEX
from shopfuse.recall.vector_channels import TEXT_INDEX
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.release.channels import Channels, read_channels
from shopfuse.release.layout import COMPLETION, ReleaseLayout
from shopfuse.release.manifest import Manifest, ReleaseError
from shopfuse.release.verify import release_problems, verify_release
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.training.checkpoints.model_files import save_models
from shopfuse.training.checkpoints.shop_models import ShopModels, fitted_models
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.models.text_encoder import LoadedTextEncoder
from shopfuse_exporters import build
from shopfuse_exporters.build import BuildOptions, build_workspace
from shopfuse_exporters.errors import BuildError, ParityError, PrecisionError
from shopfuse_exporters.precision.precisions import Precisions
from shopfuse_exporters.release import assembly
from shopfuse_exporters.verify import verified_model
from shopfuse_exporters.verify.tolerances import TOLERANCES, Tolerance
from tests.exporters.conftest import Export
from tests.exporters.small_shop import fit, tiny_text_encoder

Params = ParamSpec("Params")


@pytest.fixture
def workspace(built: Path, tmp_path: Path, export_once: Export, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of it to change."""
    shutil.copytree(built, tmp_path / "shop")
    monkeypatch.setattr(verified_model, "export_submodel", export_once)
    monkeypatch.setattr(build, "build_models", fit)
    monkeypatch.setattr(build, "load_text_encoder", lambda _: tiny_text_encoder(tmp_path))
    return Workspace.open(tmp_path / "shop")


def verified(root: Path, release_id: str) -> Manifest:
    return verify_release(root / "releases" / release_id, WorkspacePaths(root).public_key)


def assert_only_the_first_release(workspace: Workspace) -> None:
    """Whole, and nothing half-made beside it."""
    verified(workspace.root, "r1")
    assert not workspace.paths.release("r2").exists()
    assert not (workspace.root / ".build").exists()
    assert not list(workspace.paths.releases.glob(".staging*"))


def test_a_build_gives_a_whole_and_signed_release(built: Path) -> None:
    workspace = Workspace.open(built)

    manifest = verified(built, "r1")
    assert_only_the_first_release(workspace)
    assert set(manifest.models) == {
        "text_encoder", "image_encoder", "query_tower", "image_tower", "item_tower", "user_tower", "fusion_ranker"
    }  # fmt: skip
    assert all(version.version == 1 for version in manifest.models.values())
    assert manifest.ensembles["rank"] == "rank_r1"
    assert all(
        (workspace.paths.release("r1") / "models" / name / "config.pbtxt").is_file()
        for name in manifest.ensembles.values()
    )
    assert all(report["passed"] for report in manifest.parity.values())
    assert manifest.parity.keys() == manifest.models.keys()
    assert (manifest.items, manifest.text_dim, manifest.max_tokens, manifest.fusion) == (12, 8, 16, "weighted")


def test_every_file_names_what_computed_it(built: Path) -> None:
    manifest = verified(built, "r1")

    assert manifest.built_with["indexes/semantic.faiss"] == {"text_encoder": manifest.models["text_encoder"].sha256}
    assert manifest.built_with["items/item_vectors.npy"].keys() == {"text_encoder", "image_encoder", "item_tower"}
    tokenizer = manifest.built_with["models/text_encoder/1/model.onnx"]
    assert tokenizer == {"tokenizer.json": manifest.files["tokenizer.json"]}


def test_the_manifest_says_how_it_was_made(built: Path) -> None:
    made_by = verified(built, "r1").made_by

    assert made_by["seed"] == 3
    assert made_by["dims"] == 8
    assert set(made_by["data"]) == {"items", "images", "events"}
    assert {"export text_encoder", "encode texts", "train models", "write indexes"} <= set(made_by["seconds"])
    assert made_by["peak_memory_mb"] > 0


def test_completions_are_of_the_catalogue_and_signed_with_the_release(built: Path) -> None:
    found = CompletionIndex.open(ReleaseLayout(built / "releases/r1").completion).complete("ho", 8, ("c",))

    assert {one.text for one in found} == {"home"}
    assert f"{COMPLETION}/items.npy" in verified(built, "r1").files


def test_the_indexes_open_and_find(built: Path) -> None:
    indexes = RecallIndexes.open(ReleaseLayout(built / "releases/r1"))

    assert indexes.items.item_ids(np.arange(3, dtype=np.int32)) == ["i00", "i01", "i02"]
    assert 0 < len(indexes[LEXICAL_INDEX].search("lamp", 5)) <= 5
    own = indexes[TEXT_INDEX].vectors[4].astype(np.float32)
    assert indexes[TEXT_INDEX].search(own, 1).scores[0] == pytest.approx(1.0, abs=1e-2)
    assert indexes[CO_VISIT_INDEX].search(np.array([0], np.int32), np.ones(1, np.float32), 3).rows.tolist() == [1]
    assert indexes[POPULAR_INDEX].search(1).rows.tolist() == [1]


def test_items_without_image_or_behaviour_are_masked(built: Path) -> None:
    mask = np.load(built / "releases/r1/items/modality_mask.npy")

    assert mask[:, 0].all()
    assert mask[:, 1].tolist() == [at % 3 == 0 for at in range(12)]
    assert not mask[:, 2].any()


def test_the_store_holds_items_their_display_and_users(built: Path) -> None:
    with LmdbStore.open(built / "state/store.lmdb") as store:
        rows, present = store.items([b"i00", b"i01", b"nothing"])
        display = store.display([b"i01"])[0]
        users = store.users(["u1", "stranger"])

    assert present.tolist() == [True, True, False]
    assert rows["has_image"].tolist()[:2] == [1.0, 0.0]
    assert display is not None
    assert (display.price, display.currency, display.brand, display.category) == (
        11.0,
        "EUR",
        "Acme",
        ("home", "chair"),
    )
    assert users[0].item_ids.tolist() == [b"i00", b"i01"]
    assert not users[1].present


def test_the_tokenizer_of_the_release_truncates_and_does_not_pad(built: Path) -> None:
    tokenizer = Tokenizer.from_file(str(built / "releases/r1/tokenizer.json"))

    assert len(tokenizer.encode("red lamp lamp").ids) == 3
    assert len(tokenizer.encode("red " * 40).ids) == 16


def test_a_rebuild_of_the_same_shop_keeps_every_version_and_encodes_nothing(workspace: Workspace) -> None:
    manifest = build_workspace(workspace)

    assert manifest.release_id == "r2"
    assert {version.version for version in manifest.models.values()} == {1}
    assert manifest.metrics["texts"]["encoded"] == 0
    verified(workspace.root, "r1")
    encoders = [workspace.paths.release(name) / "models/text_encoder/1/model.onnx" for name in ("r1", "r2")]
    assert encoders[0].samefile(encoders[1])  # 90 MB of a real one are not copied


def test_a_build_serves_nothing_by_itself(workspace: Workspace) -> None:
    assert read_channels(workspace.root) == Channels()
    assert not list(workspace.paths.model_repository.glob("*/config.pbtxt"))


def test_a_release_from_checkpoints_has_the_models_of_the_training(workspace: Workspace) -> None:
    first = verified(workspace.root, "r1")
    models = fitted_models(np.eye(8, dtype=np.float32), (), "vote")
    save_models(workspace.paths.checkpoints, models, [f"i{number:02d}" for number in range(12)], seed=1)

    manifest = build_workspace(workspace, BuildOptions(train=False))
    assert manifest.fusion == "vote"
    assert "training_run" in manifest.made_by
    assert manifest.models["fusion_ranker"].sha256 != first.models["fusion_ranker"].sha256
    assert manifest.models["text_encoder"] == first.models["text_encoder"]


def test_without_checkpoints_there_is_no_release_from_them(workspace: Workspace) -> None:
    with pytest.raises(ShopfuseError, match=r"query_tower.*missing; train the shop first"):
        build_workspace(workspace, BuildOptions(train=False))
    assert_only_the_first_release(workspace)


def test_a_shop_without_events_or_images_is_built_too(workspace: Workspace) -> None:
    shutil.rmtree(workspace.paths.events)
    workspace.paths.images.unlink()

    manifest = build_workspace(workspace)
    assert "image_encoder" not in manifest.models
    assert set(manifest.made_by["data"]) == {"items"}
    assert not np.load(workspace.paths.release("r2") / "items/modality_mask.npy")[:, 1].any()


def test_retired_items_are_learned_from_and_are_in_no_index(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, retired = pl.read_parquet(workspace.paths.items), pl.col("item_id") == "i01"
    items.filter(~retired).write_parquet(workspace.paths.items)
    items.filter(retired).write_parquet(workspace.paths.retired_items)
    # In one session with i01 alone: i03, which was seen before it, and i04, which came after it.
    day = (
        pl.read_parquet(workspace.paths.event_days[0])
        .head(3)
        .with_columns(
            pl.Series("event_id", ["r1", "r2", "r3"]),
            pl.Series("item_id", ["i03", "i01", "i04"]),
            user_id=pl.lit("u3"),
            session_id=pl.lit("s-u3"),
        )
    )
    pl.concat([pl.read_parquet(workspace.paths.event_days[0]), day]).write_parquet(workspace.paths.event_days[0])
    learned: dict[str, int] = {}

    def train(shop: Workspace, vectors: NDArray[np.float32], *args: Any, **options: Any) -> ShopModels:
        log = load_event_log(shop.events(), load_catalogue(shop.all_items().collect()))
        learned.update(items=len(vectors), events=len(log.events))
        return fit(shop, vectors, *args, **options)

    monkeypatch.setattr(build, "build_models", train)
    build_workspace(workspace)

    assert learned == {"items": 12, "events": 7}
    assert verified(workspace.root, "r2").items == 11
    indexes = RecallIndexes.open(ReleaseLayout(workspace.paths.release("r2")))
    ids = indexes.items.item_ids(np.arange(11, dtype=np.int32))
    assert ids == [f"i{number:02d}" for number in range(12) if number != 1]
    seen_together = indexes[CO_VISIT_INDEX].search(np.array([ids.index("i03")], np.int32), np.ones(1, np.float32), 3)
    assert [ids[row] for row in seen_together.rows] == ["i04"]
    assert len(indexes[TEXT_INDEX].vectors) == 11


def test_an_empty_catalogue_is_refused(workspace: Workspace) -> None:
    pl.read_parquet(workspace.paths.items).clear().write_parquet(workspace.paths.items)

    with pytest.raises(BuildError, match=r"items.parquet: the catalogue holds no item; import one first"):
        build_workspace(workspace)
    assert_only_the_first_release(workspace)


def test_a_workspace_without_catalogue_is_refused(workspace: Workspace) -> None:
    workspace.paths.items.unlink()

    with pytest.raises(WorkspaceError, match="no catalogue yet"):
        build_workspace(workspace)


def test_an_image_that_cannot_be_decoded_names_its_item(workspace: Workspace) -> None:
    frame = pl.read_parquet(workspace.paths.images)
    cut = pl.when(pl.col("item_id") == "i03").then(pl.lit(b"not an image")).otherwise(pl.col("image"))
    frame.with_columns(image=cut).write_parquet(workspace.paths.images)

    with pytest.raises(ShopfuseError, match=r"i03|image"):
        build_workspace(workspace)
    assert_only_the_first_release(workspace)


def test_two_builds_of_one_workspace_do_not_meet(workspace: Workspace) -> None:
    with workspace_lock(workspace.root), pytest.raises(WorkspaceLockedError):
        build_workspace(workspace)


def test_an_unfaithful_encoder_stops_the_build(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "load_text_encoder", lambda _: tiny_text_encoder(tmp_path, flaw="padding"))
    shutil.rmtree(workspace.root / "cache/exports")  # the flaw is not in its weights

    with pytest.raises(ParityError, match=r"text_encoder: .* padded to"):
        build_workspace(workspace)
    assert_only_the_first_release(workspace)


def with_a_nan(train: Callable[Params, ShopModels]) -> Callable[Params, ShopModels]:
    def poisoned(*arguments: Params.args, **options: Params.kwargs) -> ShopModels:
        models = train(*arguments, **options)
        weight = models.query_tower.projection
        assert isinstance(weight, torch.Tensor)
        weight[0, 0] = float("nan")
        return models

    return poisoned


def test_a_nan_weight_stops_the_build(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "build_models", with_a_nan(fit))
    with pytest.raises(ParityError, match="query_tower: weight 'projection': expected finite numbers, found NaN"):
        build_workspace(workspace)
    assert_only_the_first_release(workspace)


def test_a_missing_tokenizer_is_named(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_tokenizer(_: str) -> LoadedTextEncoder:
        return replace(tiny_text_encoder(tmp_path), tokenizer_json=tmp_path / "nowhere.json")

    monkeypatch.setattr(build, "load_text_encoder", without_tokenizer)
    with pytest.raises(ModelFileError, match=r"nowhere\.json: no tokenizer"):
        build_workspace(workspace)


@pytest.mark.parametrize(
    ("module", "name", "step"),
    [
        (word_channels, "build_lexical", "write indexes"),
        (assembly, "put_models", "write models"),
        (assembly, "put_ensemble", "write models"),
        (assembly, "file_hashes", "write manifest"),
        (assembly, "sign", "write manifest"),
    ],
)
def test_a_full_disk_at_any_step_leaves_the_last_release(
    module: ModuleType, name: str, step: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device", "/shop/file")

    monkeypatch.setattr(module, name, full)
    with pytest.raises(BuildError, match=rf"^{step}: /shop/file: No space left on device$"):
        build_workspace(workspace)
    assert_only_the_first_release(workspace)


def test_what_a_crash_left_behind_is_cleared_by_the_next_build(workspace: Workspace) -> None:
    no_process = 2**22 + 1  # above the highest id of one
    for name in (".build/text_encoder.onnx", f"releases/.staging-r2.{no_process}/items/ids.npy"):
        (workspace.root / name).parent.mkdir(parents=True)
        (workspace.root / name).write_bytes(b"half")

    manifest = build_workspace(workspace)
    assert manifest.release_id == "r2"
    assert not (workspace.root / ".build").exists()
    assert sorted(path.name for path in workspace.paths.releases.iterdir()) == ["r1", "r2"]
    verified(workspace.root, "r2")


def test_a_workspace_that_cannot_be_written_is_named(workspace: Workspace) -> None:
    shutil.rmtree(workspace.paths.releases)
    workspace.paths.releases.write_text("a file in the way")

    with pytest.raises(BuildError, match=r"build: .*releases.*: (Not a directory|File exists)"):
        build_workspace(workspace)


@pytest.mark.parametrize(
    "path",
    ["releases/r1/items/ids.npy", "releases/r1/indexes/semantic.faiss", "releases/r1/models/query_tower/1/model.onnx"],
)
def test_a_cut_or_missing_file_of_a_release_is_found(path: str, workspace: Workspace) -> None:
    file = workspace.root / path
    os.truncate(file, file.stat().st_size // 2)
    assert len(release_problems(workspace.paths.release("r1"), workspace.paths.public_key)) == 1

    file.unlink()
    with pytest.raises(ReleaseError, match=rf"release r1 cannot be used: .*{file.name}: missing"):
        verified(workspace.root, "r1")


def test_progress_is_reported_for_every_stage(workspace: Workspace) -> None:
    stages: dict[str, tuple[int, int]] = {}

    def note(stage: str, done: int, total: int) -> None:
        stages[stage] = (done, total)

    build_workspace(workspace, progress=note)
    assert {"encode items", "write indexes", "write feature store"} <= stages.keys()
    assert stages["encode items"] == (12, 12)


def _vectors(folder: Path) -> NDArray[np.float16]:
    vectors: NDArray[np.float16] = np.load(folder / "items/item_vectors.npy")
    return vectors


def test_the_same_shop_gives_the_same_vectors(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / "cache")
    build_workspace(workspace)

    first, second = (_vectors(workspace.paths.release(name)) for name in ("r1", "r2"))
    np.testing.assert_array_equal(first, second)


def test_a_model_that_cannot_be_reduced_stays_in_fp32_unless_it_was_named(workspace: Workspace) -> None:
    """Nobody's history is known: there is nothing to calibrate the user tower on."""
    shutil.rmtree(workspace.paths.events)
    everything = BuildOptions(fusion="weighted", precisions=Precisions("int8_static"))
    named = BuildOptions(fusion="weighted", precisions=Precisions(named={"user_tower": "int8_static"}))

    manifest = build_workspace(workspace, everything)
    assert manifest.models["query_tower"].precision == "int8_static"
    assert manifest.models["user_tower"].precision == "fp32"
    assert "needs real rows" in manifest.metrics["kept_in_fp32"]["user_tower"]
    with pytest.raises(PrecisionError, match="user_tower: int8_static needs real rows"):
        build_workspace(workspace, named)


def test_a_model_that_answers_otherwise_in_fewer_bits_stays_in_fp32_unless_it_was_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = Tolerance(max_abs=1e-6, cosine_min=0.0, cosine_mean=0.0, neighbours=1.0, padding=1.0)
    monkeypatch.setitem(TOLERANCES["fp16"], "vector", exact)

    manifest = build_workspace(workspace, BuildOptions(fusion="weighted", precisions=Precisions("fp16")))

    assert manifest.models["query_tower"].precision == "fp32"
    assert "query_tower: output 'query_vector' in fp16 differs" in manifest.metrics["kept_in_fp32"]["query_tower"]
    with pytest.raises(ParityError, match="query_tower: output 'query_vector' in fp16 differs"):
        build_workspace(
            workspace, BuildOptions(fusion="weighted", precisions=Precisions(named={"query_tower": "fp16"}))
        )
