"""A gateway on a free port over a tiny release made without a model, and a Triton of a few lines that can fail."""

from __future__ import annotations

import asyncio
import inspect
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers
from tritonclient.grpc import service_pb2, service_pb2_grpc

from shopfuse.gateway.server import Gateway, open_gateway
from shopfuse.gateway.settings import Settings
from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import missing_item_row, schema_hash, text_code
from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.tensors import MODALITIES, NUMPY_TYPE, TASKS, TOKEN, VECTOR
from shopfuse.ranking.text_heads import CLASSIFY_TEXT, OUTPUTS
from shopfuse.ranking.user_state import user_state
from shopfuse.recall.categories import build_categories
from shopfuse.recall.co_visit import build_co_visit
from shopfuse.recall.item_table import build_item_table
from shopfuse.recall.lexical import build_lexical
from shopfuse.recall.popular import build_popular
from shopfuse.recall.vectors import build_vectors
from shopfuse.release.channels import Channels, write_channels
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ModelVersion
from shopfuse.release.signature import create_keys, private_key_of, sign
from shopfuse.release.verify import sha256_file
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.state.store import Display
from shopfuse.v1 import recommendation_pb2_grpc, search_pb2_grpc, text_pb2_grpc

ITEMS = 60
TEXT_DIM = 8
COLOURS = ("red", "blue", "green")
KINDS = ("shoes", "lamp", "jacket", "teapot")
BRANDS = ("Acme", "Globex")
NOW = 1_790_000_000.0
SCENES = ("holiday",)
SUBMODELS = (
    "text_encoder",
    "image_encoder",
    "query_tower",
    "picture_tower",
    "item_tower",
    "user_tower",
    "fusion_ranker",
)
ROLES = ("encode_query", "encode_picture", "encode_item", "rank", "rank_by_vector")
IMAGE_DIM, IMAGE_SIZE = 6, 16
LOOKS_SEED = 4  # of the items' image embeddings: a picture whose pixels are n looks like item n


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

    User "ann" looked at items 0, 4 and 8, which are co-visited.
    """
    create_keys(root / "keys")
    for number in (1, 2, 3):
        build_release(root, number)
    write_channels(root / "releases", Channels(stable="r1"))
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
    write_manifest(layout, private_key_of(root))


def build_indexes(layout: ReleaseLayout) -> None:
    items = catalogue()
    build_item_table(layout.items, items)
    build_lexical(layout.lexical, items)
    build_vectors(layout.semantic, unit_rows(1, ITEMS, TEXT_DIM))
    codes = np.array([text_code(" > ".join(item.category)) for item in items], np.int32)
    build_categories(layout.categories, codes, unit_rows(1, ITEMS, TEXT_DIM))
    build_vectors(layout.visual, looks())
    build_vectors(layout.behaviour, unit_rows(2, ITEMS, VECTOR))
    rows = np.array([0, 4, 8, 12, 0, 4, 8], np.int32)
    sessions = np.array([0, 0, 0, 0, 1, 1, 1], np.int64)
    build_co_visit(layout.indexes, (sessions, rows, np.ones(7, np.float32), np.full(7, NOW)), ITEMS)
    build_popular(layout.indexes, np.linspace(1.0, 0.0, ITEMS, dtype=np.float32))


def looks() -> NDArray[np.float32]:
    """Image embeddings; every tenth item has no picture."""
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
    items = {name: models[name].sha256 for name in ("text_encoder", "item_tower")}
    manifest = Manifest(
        release_id=f"r{number}",
        created_at=f"2026-11-0{number}T00:00:00+00:00",
        models=models,
        ensembles={role: f"{role}_r{number}" for role in ROLES},
        files=files,
        target="cpu",
        built_with={
            f"models/text_encoder/{version}/model.onnx": {"tokenizer.json": files["tokenizer.json"]},
            "indexes/semantic.faiss": {"text_encoder": models["text_encoder"].sha256},
            "indexes/categories/prototypes.npy": {"text_encoder": models["text_encoder"].sha256},
            "indexes/visual.faiss": {"image_encoder": models["image_encoder"].sha256},
            "indexes/behaviour.faiss": items,
            "items/item_vectors.npy": items,
            "items/modality_vectors.npy": items,
        },
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
    shown = {
        item.item_id.encode(): Display(item.title, item.price, item.currency, None, item.brand, item.category)
        for item in items
    }
    with LmdbStore.open(path, readonly=False) as store:
        store.put_items([item.item_id.encode() for item in items], rows)
        store.put_display(shown)
        seen = [("item-000", "view_item", NOW), ("item-004", "add_to_cart", NOW + 60), ("item-008", "view_item", NOW)]
        bought = [("item-000", "view_item", NOW), ("item-010", "purchase", NOW)]
        store.put_users({"ann": user_state(seen), "bob": user_state(bought)})


@dataclass
class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated code is untyped
    """Answers every model with numbers of the right shape; `behaviour` makes it hang, fail or lie.

    Vectors that it gives begin with the number of the release they are of, as those of items do. Scores of release n
    are 100 n higher; `mixed` lists the rank calls that got vectors of another release than that of the ranker.
    """

    behaviour: str = "healthy"  # healthy | hanging | failing | nan | misshaped
    calls: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None  # where set, calls of r1's models wait for it
    missing: set[str] = field(default_factory=set)  # models that are not loaded
    broken: set[int] = field(default_factory=set)  # releases whose models fail
    mixed: list[set[int]] = field(default_factory=list)

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802  (gRPC's name)
        return service_pb2.ModelReadyResponse(ready=request.name not in self.missing)

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802  (gRPC's name)
        self.calls.append(request.model_name)
        if self.gate and release_number(request) == 1:
            await self.gate.wait()
        if self.behaviour == "hanging":
            await asyncio.Event().wait()
        if self.behaviour == "failing" or release_number(request) in self.broken:
            await context.abort(grpc.StatusCode.INTERNAL, "onnxruntime: something about 10.0.0.7")
        response = service_pb2.ModelInferResponse(model_name=request.model_name)
        for name, values in self.outputs(request).items():
            values = np.full_like(values, np.nan) if self.behaviour == "nan" else values
            values = values[:, :1] if self.behaviour == "misshaped" else values
            response.outputs.add(name=name, datatype="FP32", shape=values.shape)
            response.raw_output_contents.append(values.tobytes())
        return response

    def outputs(self, request: Any) -> dict[str, NDArray[np.float32]]:
        inputs = {
            given.name: read(given, raw) for given, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        number = release_number(request)
        if request.model_name.startswith(CLASSIFY_TEXT):
            return classified(inputs["input_ids"])
        if "input_ids" in inputs:
            word = int(inputs["input_ids"][0, 0])
            return {
                "text_embedding": unit_rows(word, 1, TEXT_DIM),
                "query_vector": marked(unit_rows(word, 1, VECTOR), number),
            }
        if "pixels" in inputs:
            item = int(inputs["pixels"][0, 0, 0, 0])
            return {
                "image_embedding": looks()[item : item + 1],
                "picture_vector": marked(unit_rows(item, 1, VECTOR), number),
            }
        if "item_vectors" not in inputs:
            return {"user_vector": marked(inputs["history_vectors"][:, -1].astype(np.float32), number)}
        if not inputs["features"].all():  # else it is the warm-up, which is all ones
            self.check_release(inputs, number)
        price = inputs["features"][:, :, 0]  # the dearer, the better: an order that no channel would give
        shape = price.shape
        return {
            "task_probabilities": np.repeat(price[:, :, None] / 10 + 100 * number, len(TASKS), 2).astype(np.float32),
            "modality_weights": np.full((*shape, len(MODALITIES)), 1 / 3, np.float32),
        }

    def check_release(self, inputs: dict[str, NDArray[Any]], number: int) -> None:
        found = {number, int(inputs["item_vectors"][0, 0, 0]), int(inputs["modality_vectors"][0, 0, 0, 0])}
        if inputs["query_present"].any():
            found.add(int(inputs["query_vector"][0, 0]))
        if inputs["user_present"].any() and "user_vector" in inputs:
            found.add(int(inputs["user_vector"][0, 0]))
        if len(found) > 1:
            self.mixed.append(found)


def classified(input_ids: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Of the labels of release_edits.add_heads: a text's first word says which one holds 0.7."""
    rows = np.full((len(input_ids), 3), 0.15, np.float32)
    rows[np.arange(len(rows)), input_ids[:, 0] % 3] = 0.7
    return dict.fromkeys(OUTPUTS.values(), rows)


def release_number(request: Any) -> int:
    """The release that a called model is of: from its version, or from the name of an ensemble."""
    return int(request.model_version) - 2 if request.model_version else int(request.model_name.rpartition("_r")[2])


def read(given: Any, raw: bytes) -> NDArray[Any]:
    return np.frombuffer(raw, NUMPY_TYPE[given.datatype]).reshape(tuple(given.shape))


@dataclass(frozen=True)
class Triton:
    """The fake behind a port; `stop` and `start` are a crash and a return."""

    fake: FakeTriton
    port: int
    running: list[grpc.aio.Server]

    async def start(self) -> int:
        server = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self.fake, server)
        port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        self.running.append(server)
        return int(port)

    async def stop(self) -> None:
        while self.running:
            await self.running.pop().stop(None)


@dataclass(frozen=True)
class Shop:
    """A served shop: stubs of its services, and the parts that a test may break."""

    gateway: Gateway
    channel: grpc.aio.Channel
    triton: Triton
    search: Any
    recommend: Any
    similar: Any
    rank: Any
    health: Any
    classify: Any

    def metric(self, name: str, **labels: str) -> float:
        return self.gateway.metrics.registry.get_sample_value(name, labels) or 0.0

    @property
    def channels(self) -> Channels:
        """What the gateway answers with."""
        return self.gateway.releases.channels

    async def until(self, condition: Callable[[], object]) -> None:
        """Returns once it holds; calls of the gateway pass the time."""
        while not condition():
            await self.health.Check(health_pb2.HealthCheckRequest())

    async def publish(self, **channels: Any) -> None:
        """Writes channels.json, and waits until the gateway answers with it."""
        wanted = Channels(**channels)
        write_channels(self.gateway.settings.workspace / "releases", wanted)
        await self.until(lambda: self.channels == wanted and set(wanted.in_use) <= set(self.gateway.releases.held))


Serve = Callable[..., AbstractAsyncContextManager[Shop]]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs the coroutine tests of this folder, each in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}), 30))
    return True


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_workspace(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def workspace(built: Path, tmp_path: Path) -> Path:
    """A workspace that shares the built release, but keeps what the gateway writes to itself."""
    for name in ("releases", "state"):
        (tmp_path / name).mkdir()
    for name in ("keys", "releases/r1", "releases/r2", "releases/r3", "state/store.lmdb"):
        (tmp_path / name).symlink_to(built / name)
    write_channels(tmp_path / "releases", Channels(stable="r1"))
    return tmp_path


@pytest.fixture
def copied(workspace: Path, built: Path) -> Path:
    """The workspace, with releases of its own that a test may break. Links would be followed to the shared ones."""
    for release_id in ("r1", "r2", "r3"):
        (workspace / "releases" / release_id).unlink()
        shutil.copytree(built / "releases" / release_id, workspace / "releases" / release_id)
    return workspace


@pytest.fixture
def serve(workspace: Path) -> Serve:
    """serve(**settings): a gateway with a healthy fake Triton, closed at the end of its `async with`."""

    @asynccontextmanager
    async def served(**changes: Any) -> AsyncIterator[Shop]:
        triton = Triton(FakeTriton(), 0, [])
        triton = replace(triton, port=await triton.start())
        settings = Settings(
            workspace, f"127.0.0.1:{triton.port}", drain_s=0.05, grace_s=2.0, breaker_retry_s=0.1, follow_s=0.02
        )
        try:
            async with (
                open_gateway(replace(settings, **changes)) as gateway,
                grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
            ):
                yield stubs(gateway, channel, triton)
        finally:
            await triton.stop()

    return served


def stubs(gateway: Gateway, channel: grpc.aio.Channel, triton: Triton) -> Shop:
    searches = search_pb2_grpc.SearchServiceStub(channel)
    recommendations = recommendation_pb2_grpc.RecommendationServiceStub(channel)
    return Shop(
        gateway,
        channel,
        triton,
        searches.Search,
        recommendations.Recommend,
        recommendations.RecommendSimilarItems,
        recommendations.RankItems,
        health_pb2_grpc.HealthStub(channel),
        text_pb2_grpc.TextServiceStub(channel).ClassifyText,
    )


@pytest.fixture
def impressions(workspace: Path) -> Callable[[], Iterator[dict[str, Any]]]:
    """The logged impressions, once the gateway is closed."""

    def read_all() -> Iterator[dict[str, Any]]:
        for path in sorted((workspace / "impressions").glob("date=*.jsonl")):
            yield from map(json.loads, path.read_text().splitlines())

    return read_all
