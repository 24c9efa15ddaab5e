"""A workspace with releases of sixty items: real indexes of random vectors, and files that stand for models."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import missing_item_row, schema_hash, text_code
from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.repeats import DAY_S
from shopfuse.ranking.tensors import MODALITIES, TOKEN, VECTOR, submodels
from shopfuse.recall.again import build_again
from shopfuse.recall.categories import build_categories
from shopfuse.recall.completion.entries import CompletionEntries
from shopfuse.recall.completion.index import write_completions
from shopfuse.recall.facts.identifiers import build_identifiers
from shopfuse.recall.facts.quantities import build_quantities
from shopfuse.recall.facts.titles import build_titles
from shopfuse.recall.item_table import ItemTable, build_item_table
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.matching.facet_values import build_facet_values
from shopfuse.recall.matching.word_rows import build_word_rows
from shopfuse.recall.popular import build_popular
from shopfuse.recall.vectors import build_vectors
from shopfuse.recall.words.knowledge import SPELLING
from shopfuse.recall.words.spelling import Spelling
from shopfuse.release.channels import Channels, write_channels
from shopfuse.release.ingredients import built_with
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ModelVersion
from shopfuse.release.signature import create_keys, sign
from shopfuse.release.verify import sha256_file
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.state.store import Display
from tests.recall.shop import build_pair_indexes
from tests.user_states import user_state

ITEMS = 60
TEXT_DIM = 8
COLOURS = ("red", "blue", "green")
KINDS = ("shoes", "lamp", "jacket", "teapot")
BRANDS = ("Acme", "Globex")
NOW = 1_790_000_000.0
LAST_BOUGHT = 1_700_000_000.0
SCENES = ("holiday",)
ROLES = ("encode_query", "encode_image", "encode_item", "rank", "rank_by_vector")
IMAGE_DIM, IMAGE_SIZE = 6, 16
SUBMODELS = tuple(submodels(TEXT_DIM, IMAGE_DIM, IMAGE_SIZE))
LOOKS_SEED = 4  # of the items' image embeddings: an image whose pixels are n looks like item n


def catalogue() -> list[CatalogueItem]:
    """Item i is COLOURS[i % 3] KINDS[i % 4] of BRANDS[i % 2] for 10 + i euros; the last one cannot be bought."""
    return [
        CatalogueItem(
            f"item-{i:03d}",
            f"{COLOURS[i % 3]} {KINDS[i % 4]}",
            brand=BRANDS[i % 2],
            category=("Shop", KINDS[i % 4]),
            price=10.0 + i,
            currency="EUR",
            attributes=(("colour", COLOURS[i % 3]),),
            available=i != ITEMS - 1,
        )
        for i in range(ITEMS)
    ]


def unit_rows(seed: int, *shape: int) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    unit: NDArray[np.float32] = values / np.linalg.norm(values, axis=-1, keepdims=True)
    return unit


def build_workspace(root: Path) -> Path:
    """A workspace with keys, releases r1 (stable), r2 and r3, and a feature store.

    User "ann" looked at items 0, 4 and 8, which are co-visited; "bob" bought item 10; "cat" item 11 three times, every
    ten days until LAST_BOUGHT, and item 12 then.
    """
    create_keys(root / "keys")
    for number in (1, 2, 3):
        build_release(root, number)
    write_channels(root, Channels(stable="r1"))
    write_store(root / "state" / "store.lmdb", catalogue())
    return root


def build_release(root: Path, number: int) -> None:
    """Release r<number>. Its models have version `number` + 2; every vector of an item begins with `number`."""
    layout, first = ReleaseLayout(root / "releases" / f"r{number}"), ReleaseLayout(root / "releases" / "r1")
    if number == 1:
        build_indexes(layout)
        write_tokenizer(layout.tokenizer)
    else:
        shutil.copytree(first.root, layout.root, ignore=shutil.ignore_patterns("models"))
    item_vectors = marked(unit_rows(2, ITEMS, VECTOR), number)
    np.save(layout.items / "item_vectors.npy", item_vectors.astype(np.float16))
    modalities = marked(unit_rows(3, ITEMS, len(MODALITIES), TOKEN), number)
    np.save(layout.items / "modality_vectors.npy", modalities.astype(np.float16))
    np.save(layout.items / "modality_mask.npy", np.ones((ITEMS, len(MODALITIES)), np.uint8))
    for name in SUBMODELS:
        file = layout.models / name / str(number + 2) / "model.onnx"
        file.parent.mkdir(parents=True)
        file.write_bytes(f"{name} {number}".encode())
    write_manifest(layout, WorkspacePaths(root).private_key)


def build_indexes(layout: ReleaseLayout) -> None:
    items = catalogue()
    build_item_table(layout.items, items)
    build_lexical(layout.lexical, items)
    build_identifiers(layout.identifiers, items)
    build_quantities(layout.quantities, items)
    build_titles(layout.titles, items, "en")
    build_word_rows(layout.matching, LexicalIndex.open(layout.lexical))
    build_facet_values(layout.matching, items, ItemTable.open(layout.items).groups)
    build_completion(layout, items)
    build_vectors(layout.semantic, unit_rows(1, ITEMS, TEXT_DIM))
    codes = np.array([text_code(" > ".join(item.category)) for item in items], np.int32)
    build_categories(layout.categories, codes, unit_rows(1, ITEMS, TEXT_DIM))
    build_vectors(layout.visual, looks())
    build_vectors(layout.behaviour, unit_rows(2, ITEMS, VECTOR))
    rows = np.array([0, 4, 8, 12, 0, 4, 8, *range(20, 40)], np.int32)
    sessions = np.array([0, 0, 0, 0, 1, 1, 1, *range(2, 22)], np.int64)  # the last twenty have an item each
    build_pair_indexes(layout.indexes, (sessions, rows, np.ones(27, np.float32), np.full(27, NOW)), ITEMS)
    build_popular(layout.indexes, np.linspace(1.0, 0.0, ITEMS, dtype=np.float32))
    rates = np.where(np.arange(ITEMS) % 2, 0.5, 0.0).astype(np.float32)  # every second item is bought again
    build_again(layout.indexes, rates, rates, np.full(ITEMS, 10 * DAY_S, np.float32))


def build_completion(layout: ReleaseLayout, items: list[CatalogueItem]) -> None:
    entries = CompletionEntries("en")
    for item in items:
        entries.add(item, 1.0)
    write_completions(layout.completion, entries.entries((), (), Spelling.open(layout.lexical / SPELLING)), str)


def looks() -> NDArray[np.float32]:
    """Image embeddings; every tenth item has no image."""
    vectors = unit_rows(LOOKS_SEED, ITEMS, IMAGE_DIM)
    vectors[9::10] = 0.0
    return vectors


def marked(vectors: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """The vectors with the number of their release in front, so that a mix of two releases can be told."""
    vectors[..., 0] = number
    return vectors


def write_tokenizer(path: Path) -> None:
    words = ("[UNK]", *COLOURS, *KINDS)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path))


def write_manifest(layout: ReleaseLayout, key: Path) -> None:
    number = int(layout.root.name[1:])
    own = (layout.manifest, layout.signature)
    paths = sorted(path for path in layout.root.rglob("*") if path.is_file() and path not in own)
    files = {str(path.relative_to(layout.root)): sha256_file(path) for path in paths}
    version = number + 2
    models = {
        name: ModelVersion(name, version, "fp32", files[f"models/{name}/{version}/model.onnx"]) for name in SUBMODELS
    }
    manifest = Manifest(
        release_id=f"r{number}",
        created_at=f"2026-11-0{number}T00:00:00+00:00",
        models=models,
        ensembles={role: f"{role}_r{number}" for role in ROLES},
        files=files,
        target="cpu",
        built_with=built_with(models, files),
        items=ITEMS,
        text_dim=TEXT_DIM,
        text_encoder="none",
        image_encoder="none",
        image_dim=IMAGE_DIM,
        image_size=IMAGE_SIZE,
        max_tokens=32,
        feature_schema=schema_hash(SCENES, CHANNELS),
        scenes=SCENES,
        fusion="weighted",
        tasks={"click": 1.0, "purchase": 2.0},
    )
    put_manifest(layout, manifest.to_json(), key)


def put_manifest(layout: ReleaseLayout, text: str, key: Path) -> None:
    layout.manifest.write_text(text)
    layout.signature.write_bytes(sign(text.encode(), key))


def write_store(path: Path, items: list[CatalogueItem]) -> None:
    rows = np.repeat(missing_item_row(), len(items))
    rows["price"] = [item.price for item in items]
    rows["brand"] = [text_code(item.brand or "") for item in items]
    rows["updated_at"] = NOW
    displays = {
        item.item_id.encode(): Display(
            item.title, item.price, item.currency, None, item.brand, item.category, item.group_id
        )
        for item in items
    }
    with LmdbStore.open(path, readonly=False) as store:
        store.put_items([item.item_id.encode() for item in items], rows)
        store.put_display(displays)
        seen = [("item-000", "view_item", NOW), ("item-004", "add_to_cart", NOW + 60), ("item-008", "view_item", NOW)]
        bought = [("item-000", "view_item", NOW), ("item-010", "purchase", NOW)]
        again = [("item-011", "purchase", LAST_BOUGHT - days * DAY_S) for days in (20, 10, 0)]
        again.append(("item-012", "purchase", LAST_BOUGHT))
        store.put_users({"ann": user_state(seen), "bob": user_state(bought), "cat": user_state(again)})
