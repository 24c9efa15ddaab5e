"""ClassifyText: one call to Triton for all texts, answers by the release's labels, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.ranking.labels import SENTIMENT_LABELS, labels_json
from shopfuse.ranking.text_heads import CATEGORY_HEAD, CLASSIFY_TEXT, SENTIMENT_HEAD
from shopfuse.release.ingredients import LABELS
from shopfuse.release.verify import sha256_file
from shopfuse.v1.text_pb2 import TEXT_TASK_CATEGORY, TEXT_TASK_SENTIMENT, ClassifyTextRequest, TextTask
from shopfuse_gateway.releases.compatibility import IncompatibleRelease
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from shopfuse_gateway.releases.warm_up import warm_up
from tests.gateway.answers import refused
from tests.gateway.fake_triton import Behaviour
from tests.gateway.release_edits import add_heads, edit_manifest, layout_of, manifest_of
from tests.gateway.shop import Serve

SERVICE = "shopfuse.v1.TextService"
# The first word's number in the fake's tokenizer modulo three is the label that holds 0.7: red 1, blue 2, green 0.
WORDS = ("red", "blue", "green")


@pytest.fixture
def with_heads(copied: Path) -> Path:
    add_heads(copied, "r1")
    return copied


async def test_each_text_is_answered_in_its_place_by_one_call(with_heads: Path, serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.classify(ClassifyTextRequest(texts=[f"{word} shoes" for word in WORDS], top_k=2))
        calls = shop.triton.fake.calls.count(f"{CLASSIFY_TEXT}_r1")

    sofas, sport, lamps = (answer.category for answer in response.classifications)
    assert (sofas.category, sport.category, lamps.category) == ("Home > Sofas", "Sport", "Home > Lamps")
    assert [label.label for label in sofas.labels] == ["Home > Sofas", "Home > Lamps"]
    assert sofas.probability == pytest.approx(0.7)
    assert [answer.sentiment.sentiment for answer in response.classifications] == ["neutral", "positive", "negative"]
    assert response.classifications[1].sentiment.score == pytest.approx(0.55)
    assert (response.served_by.release_id, bool(response.request_id)) == ("r1", True)
    assert calls == 1


async def test_only_what_was_asked_for_is_told(with_heads: Path, serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.classify(ClassifyTextRequest(texts=["red"], tasks=[TEXT_TASK_SENTIMENT]))

    (answer,) = response.classifications
    assert answer.HasField("sentiment") and not answer.HasField("category")
    assert len(answer.sentiment.labels) == 3


async def test_a_text_longer_than_the_encoder_reads_is_cut_and_says_so(with_heads: Path, serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.classify(ClassifyTextRequest(texts=["red " * 1000, "blue"]))

    assert [answer.truncated for answer in response.classifications] == [True, False]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ClassifyTextRequest(), "texts"),
        (ClassifyTextRequest(texts=["red"] * 17), "texts"),
        (ClassifyTextRequest(texts=["red", ""]), "texts[1]"),
        (ClassifyTextRequest(texts=["r" * 4097]), "texts[0]"),
        (ClassifyTextRequest(texts=["red", "\u0000 !"]), "texts[1]"),
        (ClassifyTextRequest(texts=["red"], top_k=-1), "top_k"),
        (ClassifyTextRequest(texts=["red"], tasks=[0]), "tasks[0]"),  # type: ignore[list-item]
        (ClassifyTextRequest(texts=["red"], tasks=[9]), "tasks[0]"),  # type: ignore[list-item]
        (ClassifyTextRequest(texts=["red"], tasks=[TEXT_TASK_CATEGORY] * 2), "tasks"),
    ],
)
async def test_a_bad_request_names_its_field(
    with_heads: Path, serve: Serve, request_: ClassifyTextRequest, field: str
) -> None:
    async with serve() as shop:
        refusal = await refused(shop.classify(request_))

    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))


@pytest.mark.parametrize(
    ("heads", "tasks", "problem"),
    [
        ((), [], "has learned no task"),
        ((), [TEXT_TASK_CATEGORY], "nothing from items with a category"),
        ((CATEGORY_HEAD,), [TEXT_TASK_SENTIMENT], "nothing from reviews"),
    ],
)
async def test_what_the_shop_has_not_learned_is_unimplemented(
    copied: Path, serve: Serve, heads: tuple[str, ...], tasks: list[TextTask], problem: str
) -> None:
    if heads:
        add_heads(copied, "r1", heads)
    async with serve() as shop:
        refusal = await refused(shop.classify(ClassifyTextRequest(texts=["red"], tasks=tasks)))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED")
    assert problem in refusal.text


@pytest.mark.parametrize("behaviour", ["failing", "nan", "misshaped"])
async def test_without_an_answer_of_the_models_the_caller_may_retry(
    with_heads: Path, serve: Serve, behaviour: Behaviour
) -> None:
    async with serve() as shop:
        shop.triton.fake.behaviour = behaviour
        refusal = await refused(shop.classify(ClassifyTextRequest(texts=["red"])))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "MODEL_UNAVAILABLE")
    assert refusal.retry_s == 1.0
    assert "10.0.0.7" not in refusal.told


async def test_it_has_a_deadline_of_its_own(with_heads: Path, serve: Serve) -> None:
    async with serve(classify_deadline_s=0.1, deadline_s=30.0) as shop:
        shop.triton.fake.behaviour = "hanging"
        refusal = await refused(shop.classify(ClassifyTextRequest(texts=["red"])))

    assert refusal.code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "fewer or shorter" in refusal.text


async def test_it_is_admitted_measured_healthy_and_reflected(with_heads: Path, serve: Serve) -> None:
    async with serve(max_in_flight=1) as shop:
        await shop.classify(ClassifyTextRequest(texts=["red"]))
        health = await shop.health.Check(HealthCheckRequest(service=SERVICE))
        stub = reflection_pb2_grpc.ServerReflectionStub(shop.channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        listed = await stub.ServerReflectionInfo(iter([request])).read()
        labels = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": "ClassifyText", "grpc_code": "OK"}
        handled = shop.metric("grpc_server_handled_total", **labels)
        timed = shop.metric("shopfuse_stage_duration_seconds_count", stage="classify")

    assert health.status == HealthCheckResponse.SERVING
    assert SERVICE in {service.name for service in listed.list_services_response.service}
    assert (handled, timed) == (1.0, 1.0)


async def test_a_release_with_heads_is_warmed_up_with_them(with_heads: Path, serve: Serve) -> None:
    async with serve() as shop:
        await warm_up(shop.gateway.engine.triton, shop.gateway.engine.release.models)

        assert f"{CLASSIFY_TEXT}_r1" in shop.triton.fake.calls


def forget_labels(workspace: Path) -> None:
    edit_manifest(workspace, "r1", labels={CATEGORY_HEAD: 3})


def count_other_labels(workspace: Path) -> None:
    edit_manifest(workspace, "r1", labels={CATEGORY_HEAD: 4, SENTIMENT_HEAD: 3})


def lose_the_ensemble(workspace: Path) -> None:
    ensembles = manifest_of(workspace, "r1")["ensembles"]
    del ensembles[CLASSIFY_TEXT]
    edit_manifest(workspace, "r1", ensembles=ensembles)


def take_labels_of_another_head(workspace: Path) -> None:
    built_with = manifest_of(workspace, "r1")["built_with"]
    built_with[LABELS][CATEGORY_HEAD] = "12ab" * 16
    edit_manifest(workspace, "r1", built_with=built_with)


def take_a_head_of_another_encoder(workspace: Path) -> None:
    built_with = manifest_of(workspace, "r1")["built_with"]
    head = next(path for path in built_with if f"/{CATEGORY_HEAD}/" in path)
    edit_manifest(workspace, "r1", built_with=built_with | {head: {"text_encoder": "12ab" * 16}})


def lack_labels_of_a_head(workspace: Path) -> None:
    layout = layout_of(workspace, "r1")
    layout.labels.write_text(labels_json({SENTIMENT_HEAD: SENTIMENT_LABELS}))
    files = manifest_of(workspace, "r1")["files"] | {LABELS: sha256_file(layout.labels)}
    edit_manifest(workspace, "r1", files=files)


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (forget_labels, r"text heads are \['category_head', 'sentiment_head'\], it has labels of \['category_head'\]"),
        (count_other_labels, r"labels of category_head of shape 3, expected 4"),
        (lose_the_ensemble, "its ensembles"),
        (take_labels_of_another_head, "labels.json was computed with category_head 12ab"),
        (take_a_head_of_another_encoder, "was computed with text_encoder 12ab"),
        (lack_labels_of_a_head, "labels of category_head of shape 0, expected 3"),
    ],
)
def test_a_release_whose_labels_and_heads_do_not_fit_is_refused(
    with_heads: Path, broken: Callable[[Path], None], problem: str
) -> None:
    broken(with_heads)

    with pytest.raises(IncompatibleRelease, match=problem):
        LoadedRelease.open(with_heads, "r1", WorkspacePaths(with_heads).public_key)
