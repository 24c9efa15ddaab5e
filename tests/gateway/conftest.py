"""A gateway on a free port over a tiny release made without a model, and a Triton of a few lines that can fail."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2_grpc
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers
from tritonclient.grpc import service_pb2, service_pb2_grpc

from shopfuse.gateway.server import Gateway, open_gateway
from shopfuse.gateway.settings import Settings
from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import missing_item_row, schema_hash, text_code
from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.tensors import MODALITIES, NUMPY_TYPE, TASKS, TOKEN, VECTOR
from shopfuse.ranking.user_state import user_state
from shopfuse.recall.arrays import write_array
from shopfuse.recall.co_visit import build_co_visit
from shopfuse.recall.item_table import build_item_table
from shopfuse.recall.lexical import build_lexical
from shopfuse.recall.popular import build_popular
from shopfuse.recall.vectors import build_vectors
from shopfuse.release.layout import ReleaseLayout, write_channels
from shopfuse.release.manifest import Manifest, ModelVersion
from shopfuse.release.verify import sha256_file
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.state.store import Display
from shopfuse.v1 import recommendation_pb2_grpc, search_pb2_grpc

ITEMS = 60
TEXT_DIM = 8
COLOURS = ("red", "blue", "green")
KINDS = ("shoes", "lamp", "jacket", "teapot")
BRANDS = ("Acme", "Globex")
NOW = 1_790_000_000.0
SCENES = ("holiday",)


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
    """A workspace with release r1 and a feature store; user "ann" looked at items 0, 4 and 8, which are co-visited."""
    layout = ReleaseLayout(root / "releases" / "r1")
    items = catalogue()
    build_item_table(layout.items, items)
    build_lexical(layout.lexical, items)
    build_vectors(layout.semantic, unit_rows(1, ITEMS, TEXT_DIM))
    build_vectors(layout.behaviour, unit_rows(2, ITEMS, VECTOR))
    rows = np.array([0, 4, 8, 12, 0, 4, 8], np.int32)
    sessions = np.array([0, 0, 0, 0, 1, 1, 1], np.int64)
    build_co_visit(layout.indexes, (sessions, rows, np.ones(7, np.float32), np.full(7, NOW)), ITEMS)
    build_popular(layout.indexes, np.linspace(1.0, 0.0, ITEMS, dtype=np.float32))
    write_array(layout.items / "item_vectors.npy", unit_rows(2, ITEMS, VECTOR).astype(np.float16))
    write_array(layout.items / "modality_vectors.npy", unit_rows(3, ITEMS, len(MODALITIES), TOKEN).astype(np.float16))
    write_array(layout.items / "modality_mask.npy", np.ones((ITEMS, len(MODALITIES)), np.uint8))
    write_tokenizer(layout.tokenizer)
    write_manifest(layout)
    write_channels(root / "releases", {"stable": "r1"})
    write_store(root / "state" / "store.lmdb", items)
    return root


def write_tokenizer(path: Path) -> None:
    words = ("[UNK]", *COLOURS, *KINDS)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path))


def write_manifest(layout: ReleaseLayout) -> None:
    files = [path for path in layout.root.rglob("*") if path.is_file()]
    manifest = Manifest(
        ensemble_files={},
        release_id="r1",
        created_at="2026-11-01T00:00:00+00:00",
        models={name: ModelVersion(3, {}) for name in ("text_encoder", "query_tower", "user_tower", "fusion_ranker")},
        ensembles={role: f"{role}_r1" for role in ("encode_query", "encode_item", "rank", "rank_by_vector")},
        files={str(path.relative_to(layout.root)): sha256_file(path) for path in files},
        items=ITEMS,
        text_dim=TEXT_DIM,
        text_encoder="none",
        max_tokens=32,
        feature_schema=schema_hash(SCENES, CHANNELS),
        scenes=SCENES,
        fusion="weighted",
        tasks={"click": 1.0, "purchase": 2.0},
    )
    layout.manifest.write_text(manifest.to_json())


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
    """Answers every model with numbers of the right shape; `behaviour` makes it hang, fail or lie."""

    behaviour: str = "healthy"  # healthy | hanging | failing | nan | misshaped
    calls: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None  # where set, calls wait for it

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802  (gRPC's name)
        return service_pb2.ModelReadyResponse(ready=True)

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802  (gRPC's name)
        self.calls.append(request.model_name)
        if self.gate:
            await self.gate.wait()
        if self.behaviour == "hanging":
            await asyncio.Event().wait()
        if self.behaviour == "failing":
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
            given.name: (given, raw) for given, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        if "input_ids" in inputs:
            word = int(read(*inputs["input_ids"])[0, 0])
            return {"text_embedding": unit_rows(word, 1, TEXT_DIM), "query_vector": unit_rows(word, 1, VECTOR)}
        if "item_vectors" not in inputs:
            return {"user_vector": read(*inputs["history_vectors"])[:, -1].astype(np.float32)}
        price = read(*inputs["features"])[:, :, 0]  # the dearer, the better: an order that no channel would give
        shape = price.shape
        return {
            "task_probabilities": np.repeat(price[:, :, None] / 10, len(TASKS), 2).astype(np.float32),
            "modality_weights": np.full((*shape, len(MODALITIES)), 1 / 3, np.float32),
        }


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

    def metric(self, name: str, **labels: str) -> float:
        return self.gateway.engine.metrics.registry.get_sample_value(name, labels) or 0.0


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
    (tmp_path / "releases" / "r1").symlink_to(built / "releases" / "r1")
    write_channels(tmp_path / "releases", {"stable": "r1"})
    (tmp_path / "state" / "store.lmdb").symlink_to(built / "state" / "store.lmdb")
    return tmp_path


@pytest.fixture
def serve(workspace: Path) -> Serve:
    """serve(**settings): a gateway with a healthy fake Triton, closed at the end of its `async with`."""

    @asynccontextmanager
    async def served(**changes: Any) -> AsyncIterator[Shop]:
        triton = Triton(FakeTriton(), 0, [])
        triton = replace(triton, port=await triton.start())
        settings = Settings(workspace, f"127.0.0.1:{triton.port}", drain_s=0.05, grace_s=2.0, breaker_retry_s=0.1)
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
    )


@pytest.fixture
def impressions(workspace: Path) -> Callable[[], Iterator[dict[str, Any]]]:
    """The logged impressions, once the gateway is closed."""

    def read_all() -> Iterator[dict[str, Any]]:
        for path in sorted((workspace / "impressions").glob("date=*.jsonl")):
            yield from map(json.loads, path.read_text().splitlines())

    return read_all
