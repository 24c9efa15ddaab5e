"""Does the text encoder understand the catalogue's language: by what its tokenizer loses, and against chance."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from rich.console import Console
from tokenizers import Tokenizer, models, pre_tokenizers

from shopfuse.cli.release_page import release_page
from shopfuse.datasets.schema import ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.features import NO_HISTORY
from shopfuse.recall.channels import channel_scores
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.vector_channels import TEXT_INDEX, query_like
from shopfuse.release.channels import Channels
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, parse_manifest
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse_exporters import build
from shopfuse_exporters.build import build_workspace
from shopfuse_exporters.encoding.coverage import measure_coverage
from shopfuse_exporters.verify import verified_model
from tests.exporters.conftest import Export
from tests.exporters.small_shop import fit, tiny_text_encoder

KINDS = {
    "garden": ("rake", "spade", "hose", "shears"),
    "kitchen": ("pan", "knife", "kettle", "whisk"),
    "office": ("stapler", "folder", "binder", "pencil"),
}
WORDS = [word for kind, words in KINDS.items() for word in (kind, *words)]
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def catalogue(items: int = 120) -> Catalogue:
    """Titles of two words of a kind of things, in the category of the kind."""
    draw, rows = np.random.default_rng(5), []
    for at in range(items):
        kind = list(KINDS)[at % len(KINDS)]
        title = " ".join(draw.choice(KINDS[kind], 3, replace=False).tolist())
        rows.append({"item_id": f"i{at:03d}", "title": title, "category": [kind], "available": True, "attributes": []})
    return load_catalogue(pl.DataFrame(rows, ITEM_SCHEMA), languages=("en",))


def tokenizer(words: Sequence[str] = WORDS) -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["[UNK]", *words])}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def knowing(texts: Sequence[str]) -> NDArray[np.float32]:
    """Each kind of things has a direction of its own; so has each word, which says less."""
    vectors = np.zeros((len(texts), len(KINDS) + len(WORDS)), np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            vectors[row, len(KINDS) + WORDS.index(word)] += 0.5
            vectors[row, [word in (kind, *words) for kind, words in KINDS.items()].index(True)] += 1.0
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors


def noise(texts: Sequence[str]) -> NDArray[np.float32]:
    """The same text has always the same direction, which says nothing of its words."""
    draws = [np.random.default_rng(sum(ord(c) * 31**at for at, c in enumerate(text)) % 2**32) for text in texts]
    vectors: NDArray[np.float32] = np.stack([draw.normal(size=16) for draw in draws]).astype(np.float32)
    return vectors


def test_an_encoder_that_knows_the_words_covers_them() -> None:
    measured = measure_coverage(catalogue(), tokenizer(), knowing)

    assert measured.covers
    assert measured.lost == 0.0
    assert measured.words.nearer > 0.9
    assert measured.categories.nearer > 0.9


def test_directions_without_meaning_are_told_from_meaning() -> None:
    measured = measure_coverage(catalogue(), tokenizer(), noise)

    assert measured.words.pairs >= 100
    assert abs(measured.words.nearer - 0.5) < 0.1
    assert not measured.covers
    assert "as chance does" in measured.line("tiny", "xx")


def test_too_few_items_tell_nothing_of_meaning() -> None:
    assert measure_coverage(catalogue(12), tokenizer(), noise).covers


def test_characters_that_the_tokenizer_loses_are_counted() -> None:
    measured = measure_coverage(catalogue(12), tokenizer(["rake", "pan", "folder"]), knowing)

    assert measured.lost > 0.5
    assert not measured.covers
    assert "of the titles' characters" in measured.line("tiny", "xx")


def test_nothing_is_unknown_to_a_tokenizer_of_bytes() -> None:
    assert measure_coverage(catalogue(12), Tokenizer(models.BPE()), knowing).lost == 0.0


@pytest.fixture
def strange(built: Path, tmp_path: Path, export_once: Export, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The small shop with titles of which its tokenizer knows no word."""
    shutil.copytree(built, tmp_path / "shop")
    workspace = Workspace.open(tmp_path / "shop")
    items = workspace.items().collect().with_columns(title=pl.col("title").str.replace_all("lamp|chair|red|oak", "zzz"))
    items.with_columns(title=pl.col("title").str.replace_all("[a-y]+", "zzz")).write_parquet(workspace.paths.items)
    monkeypatch.setattr(verified_model, "export_submodel", export_once)
    monkeypatch.setattr(build, "build_models", fit)
    monkeypatch.setattr(build, "load_text_encoder", lambda _: tiny_text_encoder(tmp_path))
    return workspace


def test_a_shop_that_its_encoder_does_not_read_is_released_without_meaning(strange: Workspace) -> None:
    manifest = build_workspace(strange)

    layout = ReleaseLayout(strange.paths.release(manifest.release_id))
    indexes = RecallIndexes.open(layout)
    rows = np.arange(len(indexes.items), dtype=np.int32)
    _, mask = channel_scores(indexes, rows, RecallQuery.of_user(NO_HISTORY, "zzz", np.zeros(8, np.float32)))
    channels = {channel.name: mask[:, at].any() for at, channel in enumerate(indexes.table)}
    assert manifest.without_meaning.startswith("text encoder tiny does not cover language")
    assert 'set text_encoder = "intfloat/multilingual-e5-small"' in manifest.without_meaning
    assert manifest.metrics["texts"]["coverage"]["covers"] is False
    assert not indexes[TEXT_INDEX].vectors.any()
    assert not np.load(layout.modality_mask)[:, 0].any()
    assert channels["lexical"] and not channels["semantic"] and not channels["category"]
    assert query_like(indexes, 0).text_embedding is None
    assert "does not cover language" in printed(layout.root, manifest)


def test_a_shop_that_its_encoder_reads_is_released_with_it(built: Path) -> None:
    layout = ReleaseLayout(built / "releases" / "r1")
    manifest = parse_manifest(layout.manifest.read_text(), "r1")

    assert manifest.without_meaning == ""
    assert RecallIndexes.open(layout)[TEXT_INDEX].vectors.any(1).all()
    assert "does not cover" not in printed(layout.root, manifest)


def printed(root: Path, manifest: Manifest) -> str:
    console = Console(width=400, file=io.StringIO(), record=True)
    console.print(release_page(root, manifest, Channels()))
    return console.export_text()
