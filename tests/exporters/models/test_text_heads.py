"""A shop with categories and reviews gets text heads in its release; one without them gets a release as before."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shopfuse.cli.evaluate.texts import texts
from shopfuse.datasets.parquet import write_parquet
from shopfuse.datasets.schema import ITEM_SCHEMA, REVIEW_SCHEMA
from shopfuse.datasets.workspace import Workspace
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.publishing.golden import check_golden
from shopfuse.publishing.golden_file import read_golden
from shopfuse.ranking.labels import SENTIMENT_LABELS, parse_labels
from shopfuse.ranking.text_heads import CATEGORY_HEAD, CLASSIFY_TEXT, HEADS, OUTPUTS, SENTIMENT_HEAD
from shopfuse.release.channels import Channels, write_channels
from shopfuse.release.ingredients import LABELS
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, model_file
from shopfuse.release.verify import read_manifest, verify_release
from shopfuse.training.checkpoints.head_files import load_heads
from shopfuse.training.checkpoints.model_files import save_models
from shopfuse.training.trainers.text_head import probabilities_of
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl
from shopfuse_exporters import build
from shopfuse_exporters.build import BuildOptions, build_workspace
from shopfuse_gateway.releases.compatibility import check_compatible
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from tests.exporters.small_shop import fit, tiny_text_encoder
from tests.exporters.triton.parsed_config import parse_config
from tests.tritons import QUICK

KINDS = (("lamp", ("home", "lights")), ("chair", ("home", "seats")), ("table", ("garden",)))
MOODS = (("red", 1.0), ("oak", 3.0), ("blue", 5.0))


def write_labelled(workspace: Workspace) -> None:
    """Items whose titles tell their category, reviews whose words tell their stars; all by one word each."""
    rng = np.random.default_rng(0)
    items, reviews = [], []
    for number in range(90):
        word, path = KINDS[number % 3]
        extra = " ".join(rng.choice(["large", "small", "green"], 1 + number // 30))
        items.append(
            {"item_id": f"i{number:02d}", "title": f"{extra} {word} {number}", "description": "", "available": True}
            | {"category": list(path), "attributes": [], "published_at": datetime(2026, 3, 1, tzinfo=UTC)}
        )
        mood, stars = MOODS[number % 3]
        reviews.append(
            {"review_id": f"w{number:02d}", "item_id": "i00", "rating": stars, "text": f"{extra} {mood} {number}"}
        )
    write_parquet(workspace.paths.items, pl.DataFrame(items, ITEM_SCHEMA))
    write_parquet(workspace.paths.reviews_table, pl.DataFrame(reviews, REVIEW_SCHEMA))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With one release."""
    root = tmp_path_factory.mktemp("labelled")
    workspace = Workspace.create(root / "shop")
    write_labelled(workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "build_models", fit)
        patch.setattr(build, "load_text_encoder", lambda _: tiny_text_encoder(root))
        build_workspace(workspace, BuildOptions(seed=1))
    return workspace


@pytest.fixture(scope="module")
def manifest(labelled: Workspace) -> Manifest:
    return verify_release(labelled.paths.release("r1"), labelled.paths.public_key)


def test_the_release_has_both_heads_their_labels_and_the_ensemble(labelled: Workspace, manifest: Manifest) -> None:
    layout = ReleaseLayout(labelled.paths.release("r1"))
    labels = parse_labels(layout.labels.read_text(), LABELS)

    assert manifest.labels == {CATEGORY_HEAD: 3, SENTIMENT_HEAD: 3}
    assert labels[CATEGORY_HEAD].paths == (("garden",), ("home", "lights"), ("home", "seats"))
    assert labels[SENTIMENT_HEAD] == SENTIMENT_LABELS
    config = parse_config((layout.models / manifest.ensembles[CLASSIFY_TEXT] / "config.pbtxt").read_text())
    assert [output.name for output in config.output] == list(OUTPUTS.values())
    assert {name for name in HEADS if manifest.parity[name]["passed"]} == set(HEADS)
    assert CLASSIFY_TEXT in read_golden(layout.golden).models


def test_labels_and_heads_name_what_they_were_made_with(manifest: Manifest) -> None:
    encoder = manifest.models["text_encoder"].sha256

    assert manifest.built_with[LABELS] == {name: manifest.models[name].sha256 for name in HEADS}
    assert all(manifest.built_with[model_file(manifest.models[name])] == {"text_encoder": encoder} for name in HEADS)
    check_compatible(manifest)


def test_the_gateway_opens_it_with_its_labels(labelled: Workspace) -> None:
    release = LoadedRelease.open(labelled.root, "r1", labelled.paths.public_key)

    assert release.labels.keys() == set(HEADS)
    assert release.models.classify_text is not None
    assert release.models.classify_text in release.models.all


@pytest.mark.parametrize("name", HEADS)
def test_the_exported_head_tells_what_one_word_tells(name: str, labelled: Workspace, manifest: Manifest) -> None:
    quality = manifest.metrics[name]["test"]

    assert quality["accuracy"]["value"] > 0.7  # a third by chance
    assert manifest.metrics[name]["examples"]["test"] >= 9
    exported = OnnxModel(manifest.declared()[name], labelled.paths.release("r1") / model_file(manifest.models[name]))
    vectors = np.eye(8, dtype=np.float32)[:5]
    assert exported.run({"text_embedding": vectors})[OUTPUTS[name]].sum(1) == pytest.approx(1.0, abs=1e-5)


def test_a_build_without_training_reads_the_heads_again(
    labelled: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(labelled.root, tmp_path / "shop")
    workspace = Workspace.open(tmp_path / "shop")
    monkeypatch.setattr(build, "load_text_encoder", lambda _: tiny_text_encoder(tmp_path))
    ids = workspace.items().collect()["item_id"].to_list()
    vectors = np.random.default_rng(0).standard_normal((len(ids), 8)).astype(np.float32)
    models = fit(workspace, vectors, lambda texts: vectors[:1], seed=0, fusion="auto", progress=lambda *_: None)
    save_models(workspace.paths.checkpoints, models, ids, 0)

    build_workspace(workspace, BuildOptions(train=False))

    first, second = (read_manifest(workspace.paths.release(name)) for name in ("r1", "r2"))
    assert {name: second.models[name] for name in HEADS} == {name: first.models[name] for name in HEADS}
    heads = load_heads(workspace.paths.checkpoints, second.models["text_encoder"].sha256)
    assert probabilities_of(heads[CATEGORY_HEAD].module, vectors[:3]).shape == (3, 3)


@pytest.mark.parametrize("seeds", ["", "1"])
def test_the_evaluation_puts_the_heads_beside_their_baselines(
    labelled: Workspace, seeds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_channels(labelled.root, Channels(stable="r1"))

    texts(labelled.root, seeds=seeds, json=True)

    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["release_id"] == "r1"
    for name in HEADS:
        rows = report["heads"][name]["1"]
        assert list(rows) == ["head", "majority", "neighbours", "words"]
        assert rows["head"]["accuracy"]["value"] > 0.7 > rows["majority"]["accuracy"]["value"]
        assert rows["head"]["texts"] == rows["words"]["texts"]


def test_a_real_triton_answers_as_torch_does(labelled: Workspace, manifest: Manifest, tmp_path: Path) -> None:
    release = labelled.paths.release("r1")
    repository = shutil.copytree(ReleaseLayout(release).models, tmp_path / "models")
    with LocalTriton(repository, tmp_path / "triton.log", QUICK) as triton:
        triton.load(*(version.model for version in manifest.models.values()))
        triton.load(*manifest.ensembles.values())
        with ModelControl(triton.address) as control:
            report = check_golden(release, manifest, control)

    rows = {row.name: row for row in report.rows}
    assert {*HEADS, CLASSIFY_TEXT} <= set(rows)
    assert max(rows[name].max_abs_diff for name in (*HEADS, CLASSIFY_TEXT)) < 1e-4


def test_a_shop_with_few_items_and_no_reviews_has_no_heads(built: Path) -> None:
    manifest = read_manifest(built / "releases/r1")

    assert manifest.labels == {}
    assert not set(HEADS) & set(manifest.models)
    assert CLASSIFY_TEXT not in manifest.ensembles
    assert LABELS not in manifest.files
