"""The request flow: the stages in their order, for all four methods. They differ in the data of the request only."""

from __future__ import annotations

from shopfuse_gateway.pipeline.answer import Answer, Ranked, build_answer, impression_of
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.pipeline.candidates import describe
from shopfuse_gateway.pipeline.encode import encode
from shopfuse_gateway.pipeline.facets import facets, no_counts
from shopfuse_gateway.pipeline.policy import apply_policy
from shopfuse_gateway.pipeline.rank import rank
from shopfuse_gateway.pipeline.reading import read_words
from shopfuse_gateway.pipeline.recall import recall
from shopfuse_gateway.pipeline.user import read_user
from shopfuse_gateway.releases.engine import Engine
from shopfuse_gateway.telemetry.impression_log import ImpressionLog


async def answer(engine: Engine, call: Call, impressions: ImpressionLog) -> Answer:
    """Raises ItemNotFound, InvalidPageToken, PageTokenExpired. A stage that fails or is late degrades the answer."""
    if call.request.is_empty:
        return Answer(facets=no_counts(call.request.facets))
    page = None
    if call.request.page_token:
        page = engine.tokens.read(call.request.page_token, call.request.fingerprint)
        call = call.pinned(page)
    call, trace = read_words(engine, call), call.trace
    with trace.stage("features"):
        user = read_user(engine, call)
    with trace.stage("encode"):
        intent = await encode(engine, call, user)
    with trace.stage("recall"):
        recalled = await recall(engine, call, intent, page)
    with trace.stage("item_features"):
        candidates = await describe(engine, call, user, recalled)
    with trace.stage("rank"):
        scores = await rank(engine, call, user, intent, candidates)
    with trace.stage("policy"):
        ranking = apply_policy(engine, call, candidates, scores, page)
    counts = await facets(engine, call, recalled)
    ranked = Ranked(page, recalled, candidates, scores, ranking, counts)
    with trace.tracing.span("answer"):
        built = build_answer(engine, call, ranked)
    impressions.offer(impression_of(engine, call, ranked, built))
    return built
