"""The gRPC service TextService: validate, pick a release, classify, wrap the answer."""

from __future__ import annotations

from typing import TypeAlias

import grpc

from shopfuse.v1 import text_pb2, text_pb2_grpc
from shopfuse_gateway.errors import DeadlineTooShort
from shopfuse_gateway.pipeline.answer import new_request_id
from shopfuse_gateway.pipeline.classify import classify, from_classify
from shopfuse_gateway.pipeline.deadline import Deadline
from shopfuse_gateway.releases.held_releases import Releases
from shopfuse_gateway.rpc.validation import RequestValidator
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.metrics import Metrics
from shopfuse_gateway.telemetry.request_trace import Journal

MIN_DEADLINE_S = 0.001
Context: TypeAlias = grpc.aio.ServicerContext


class TextService(text_pb2_grpc.TextServiceServicer):
    """Its deadline is its own: reading sixteen long texts takes longer than ranking a page."""

    def __init__(self, settings: Settings, releases: Releases, metrics: Metrics) -> None:
        self._settings = settings
        self._releases = releases
        self._metrics = metrics
        self._validator = RequestValidator()
        self._validator.warm(text_pb2.ClassifyTextRequest(texts=["warm"]))

    async def ClassifyText(  # noqa: N802  (gRPC's name)
        self, request: text_pb2.ClassifyTextRequest, context: Context
    ) -> text_pb2.ClassifyTextResponse:
        settings, journal = self._settings, Journal(self._metrics)
        deadline = Deadline.start(context.time_remaining(), settings.classify_deadline_s, settings.reserve_s)
        if deadline.left_s < MIN_DEADLINE_S:
            raise DeadlineTooShort("the deadline was over when the request came in")
        self._validator.check(request)
        asked = from_classify(request)
        with self._releases.of_user("") as held:
            with journal.stage("classify"):
                answers = await classify(held.engine, asked, deadline)
            held.count_answer(degraded=False)
            return text_pb2.ClassifyTextResponse(
                classifications=answers, request_id=new_request_id(), served_by=held.engine.release.served_by
            )
