"""The gRPC services: validate, bring the request into its one form, pick its release, run the flow, wrap the
answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from shopfuse.v1 import (
    completion_pb2,
    item_pb2,
    recommendation_pb2,
    recommendation_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
    text_pb2,
    text_pb2_grpc,
)
from shopfuse_gateway.errors import DeadlineTooShort
from shopfuse_gateway.pipeline.answer import Answer
from shopfuse_gateway.pipeline.call import Call, Deadline
from shopfuse_gateway.pipeline.classify import classify, from_classify
from shopfuse_gateway.pipeline.flow import answer
from shopfuse_gateway.pipeline.request import RankingRequest, from_rank, from_recommend, from_search, from_similar
from shopfuse_gateway.releases.held_releases import HeldRelease, Releases
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from shopfuse_gateway.rpc.validation import RequestValidator
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.impression_log import ImpressionLog
from shopfuse_gateway.telemetry.metrics import Metrics
from shopfuse_gateway.telemetry.request_trace import RequestTrace
from shopfuse_gateway.wire import length_delimited

MIN_DEADLINE_S = 0.001
Context: TypeAlias = grpc.aio.ServicerContext
RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)
ITEMS_FIELD = search_pb2.SearchResponse.ITEMS_FIELD_NUMBER  # the same in every response


class Answering:
    """What the services do with every request."""

    def __init__(self, settings: Settings, releases: Releases, impressions: ImpressionLog, metrics: Metrics) -> None:
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
            text_pb2.ClassifyTextRequest(texts=["warm"]),
            completion_pb2.CompleteQueryRequest(prefix="warm"),
        )

    async def answer(
        self,
        message: RequestT,
        form: Callable[[RequestT], RankingRequest],
        response: type[ResponseT],
        context: Context,
    ) -> ResponseT:
        deadline = self._admit(message, context, self._settings.deadline_s)
        call = Call(form(message), deadline, RequestTrace.current())
        with self._releases.of(call.request.subject, call.request.page_token) as held:
            call.trace.answered_by(held.engine.release.manifest, call.request.context.scene)
            built = await answer(held.engine, call, self._impressions)
            self._count(held, call, response, built)
            if call.request.explain:
                context.set_trailing_metadata((("server-timing", call.trace.timing()),))
            return _response(response, held, built, call.trace)

    def _count(self, held: HeldRelease, call: Call, response: type[Message], built: Answer) -> None:
        call.trace.items = len(built.items)
        held.count_answer(degraded=bool(call.trace.degradations))
        method = response.__name__.removesuffix("Response")
        if not built.items and not call.request.page_token:
            self._metrics.empty.labels(method).inc()
        if built.top_score is not None and not call.trace.degradations:
            self._metrics.top_score.labels(held.release_id, method).observe(built.top_score)

    async def classify(self, message: text_pb2.ClassifyTextRequest, context: Context) -> text_pb2.ClassifyTextResponse:
        """Its deadline is its own: reading sixteen long texts takes longer than ranking a page."""
        deadline = self._admit(message, context, self._settings.classify_deadline_s)
        request, trace = from_classify(message), RequestTrace.current()
        with self._releases.of("") as held:
            trace.answered_by(held.engine.release.manifest)
            with trace.stage("classify"):
                classifications = await classify(held.engine, request, deadline)
            held.count_answer(degraded=False)
            return text_pb2.ClassifyTextResponse(
                classifications=classifications, request_id=trace.request_id, served_by=held.engine.release.served_by
            )

    @contextmanager
    def looking_up(self, message: Message, context: Context, stage: str) -> Iterator[LoadedRelease]:
        """The release for a request that one look into it answers: admitted and timed. It is not among the answers
        that may be degraded: these look-ups never are, and are so many that they would hide the others."""
        self._admit(message, context, self._settings.deadline_s)
        trace = RequestTrace.current()
        with self._releases.of("") as held:
            trace.answered_by(held.engine.release.manifest)
            with trace.stage(stage):
                yield held.engine.release

    def _admit(self, message: Message, context: Context, at_most_s: float) -> Deadline:
        """The deadline of a request that can be answered. Raises DeadlineTooShort or InvalidRequest."""
        deadline = Deadline.start(context.time_remaining(), at_most_s, self._settings.reserve_s)
        if deadline.left_s < MIN_DEADLINE_S:
            raise DeadlineTooShort("the deadline was over when the request came in")
        self._validator.check(message)
        return deadline


def _response(response: type[ResponseT], held: HeldRelease, built: Answer, trace: RequestTrace) -> ResponseT:
    fields: dict[str, Any] = {"next_page_token": built.next_page_token} if built.next_page_token else {}
    if built.interpretation is not None:
        fields |= {"query_interpretation": built.interpretation, "fallback": built.fallback}
    if response is search_pb2.SearchResponse:
        fields |= {"total_size": built.total_size, "facets": built.facets}
    rest = response(
        request_id=trace.request_id,
        served_by=held.engine.release.served_by,
        degraded=bool(trace.degradations),
        degradations=[item_pb2.Degradation(stage=s, reason=r) for s, r in trace.degradations],
        **fields,
    )
    return response.FromString(length_delimited(ITEMS_FIELD, built.items) + rest.SerializeToString())


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


class TextService(text_pb2_grpc.TextServiceServicer):
    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def ClassifyText(  # noqa: N802  (gRPC's name)
        self, request: text_pb2.ClassifyTextRequest, context: Context
    ) -> text_pb2.ClassifyTextResponse:
        return await self._answering.classify(request, context)
