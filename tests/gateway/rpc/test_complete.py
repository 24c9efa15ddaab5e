"""CompleteQuery: the release's completions, as the API bounds them, and errors that say what to do."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from shopfuse.v1.completion_pb2 import (
    COMPLETION_KIND_BRAND,
    COMPLETION_KIND_CATEGORY,
    COMPLETION_KIND_UNSPECIFIED,
    CompleteQueryRequest,
)
from tests.gateway.answers import refused
from tests.gateway.shop import Serve

KIND = {"grpc_type": "unary", "grpc_service": "shopfuse.v1.CompletionService"}


async def test_letters_are_answered_by_queries_categories_and_brands(serve: Serve) -> None:
    async with serve() as shop:
        queries = await shop.complete(CompleteQueryRequest(prefix="red s"))
        every = await shop.complete(CompleteQueryRequest(prefix="sho"))
        lists = shop.metric("shopfuse_release_answers_total", release_id="r1", outcome="ok")
        served = shop.metric("grpc_server_handled_total", grpc_method="CompleteQuery", grpc_code="OK", **KIND)

    assert [(one.text, one.items) for one in queries.completions] == [("red shoes", 5)]
    assert {(one.kind, one.text) for one in every.completions} == {(1, "shoes"), (2, "Shop"), (2, "Shop > shoes")}
    assert (queries.served_by.release_id, bool(queries.request_id)) == ("r1", True)
    assert (served, lists) == (2, 0)


async def test_kinds_and_counts_are_as_asked(serve: Serve) -> None:
    async with serve() as shop:
        brands = await shop.complete(CompleteQueryRequest(prefix="ac", kinds=[COMPLETION_KIND_BRAND]))
        one = await shop.complete(
            CompleteQueryRequest(prefix="sh", kinds=[COMPLETION_KIND_CATEGORY], max_completions=1)
        )
        none = await shop.complete(CompleteQueryRequest(prefix="?"))

    assert [completion.text for completion in brands.completions] == ["Acme"]
    assert [completion.text for completion in one.completions] == ["Shop"]
    assert len(none.completions) == 0


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (CompleteQueryRequest(prefix=""), "prefix"),
        (CompleteQueryRequest(prefix="x" * 129), "prefix"),
        (CompleteQueryRequest(prefix="x", max_completions=51), "max_completions"),
        (CompleteQueryRequest(prefix="x", kinds=[COMPLETION_KIND_UNSPECIFIED]), "kinds[0]"),
    ],
)
async def test_what_breaks_a_bound_is_refused_by_its_field(
    serve: Serve, request_: CompleteQueryRequest, field: str
) -> None:
    async with serve() as shop:
        refusal = await refused(shop.complete(request_))

    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))


async def test_the_service_has_a_health_of_its_own(serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.health.Check(HealthCheckRequest(service="shopfuse.v1.CompletionService"))

    assert response.status == HealthCheckResponse.SERVING
