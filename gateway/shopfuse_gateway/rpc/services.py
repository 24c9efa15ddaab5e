"""The gRPC services: validate, bring the request into its one form, pick its release, run the flow, wrap the
answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from shopfuse.v1 import (
    item_pb2,
    recommendation_pb2,
    recommendation_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
)
from shopfuse_gateway.errors import DeadlineTooShort
from shopfuse_gateway.pipeline.answer import Answer
from shopfuse_gateway.pipeline.deadline import Deadline
from shopfuse_gateway.pipeline.flow import answer
from shopfuse_gateway.pipeline.request import RankingRequest, from_rank, from_recommend, from_search, from_similar
from shopfuse_gateway.releases.engine import Call
from shopfuse_gateway.releases.held_releases import HeldRelease, Releases
from shopfuse_gateway.rpc.validation import RequestValidator
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.impression_log import Impressions
from shopfuse_gateway.telemetry.metrics import Metrics
from shopfuse_gateway.telemetry.request_trace import Journal
from shopfuse_gateway.wire import length_delimited

MIN_DEADLINE_S = 0.001
Context: TypeAlias = grpc.aio.ServicerContext
RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)
ITEMS_FIELD = search_pb2.SearchResponse.ITEMS_FIELD_NUMBER  # the same in every response


class Answering:
    """What both services do with every request."""

    def __init__(self, settings: Settings, releases: Releases, impressions: Impressions, metrics: Metrics) -> None:
        self._settings = settings
        self._releases = releases
        self._metrics = metrics
        self._impressions = impressions
        self._validator = RequestValidator()
        self._validator.warm(
            search_pb2.SearchRequest(query="warm"),
            recommendation_pb2.RecommendRequest(),
            recommendation_pb2.RecommendSimilarItemsRequest(item_id="warm"),
            recommendation_pb2.RankItemsRequest(item_ids=["warm"]),
        )

    async def answer(
        self,
        message: RequestT,
        form: Callable[[RequestT], RankingRequest],
        response: type[ResponseT],
        context: Context,
    ) -> ResponseT:
        settings, journal = self._settings, Journal(self._metrics)
        deadline = Deadline.start(context.time_remaining(), settings.deadline_s, settings.reserve_s)
        if deadline.left_s < MIN_DEADLINE_S:
            raise DeadlineTooShort("the deadline was over when the request came in")
        self._validator.check(message)
        call = Call(form(message), deadline, journal)
        with self._releases.of(call.request) as held:
            given = await answer(held.engine, call, self._impressions)
            held.count_answer(degraded=bool(journal.degradations))
            if call.request.explain:
                context.set_trailing_metadata((("server-timing", journal.timing()),))
            return _response(response, held, given, journal)


def _response(response: type[ResponseT], held: HeldRelease, given: Answer, journal: Journal) -> ResponseT:
    fields: dict[str, Any] = {"next_page_token": given.next_page_token} if given.next_page_token else {}
    rest = response(
        request_id=given.request_id,
        served_by=held.engine.release.served_by,
        degraded=bool(journal.degradations),
        degradations=[item_pb2.Degradation(stage=s, reason=r) for s, r in journal.degradations],
        **fields,
    )
    return response.FromString(length_delimited(ITEMS_FIELD, given.items) + rest.SerializeToString())


class SearchService(search_pb2_grpc.SearchServiceServicer):
    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def Search(  # noqa: N802  (gRPC's name)
        self, request: search_pb2.SearchRequest, context: Context
    ) -> search_pb2.SearchResponse:
        return await self._answering.answer(request, from_search, search_pb2.SearchResponse, context)


class RecommendationService(recommendation_pb2_grpc.RecommendationServiceServicer):
    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def Recommend(  # noqa: N802  (gRPC's name)
        self, request: recommendation_pb2.RecommendRequest, context: Context
    ) -> recommendation_pb2.RecommendResponse:
        return await self._answering.answer(request, from_recommend, recommendation_pb2.RecommendResponse, context)

    async def RecommendSimilarItems(  # noqa: N802  (gRPC's name)
        self, request: recommendation_pb2.RecommendSimilarItemsRequest, context: Context
    ) -> recommendation_pb2.RecommendSimilarItemsResponse:
        return await self._answering.answer(
            request, from_similar, recommendation_pb2.RecommendSimilarItemsResponse, context
        )

    async def RankItems(  # noqa: N802  (gRPC's name)
        self, request: recommendation_pb2.RankItemsRequest, context: Context
    ) -> recommendation_pb2.RankItemsResponse:
        return await self._answering.answer(request, from_rank, recommendation_pb2.RankItemsResponse, context)
