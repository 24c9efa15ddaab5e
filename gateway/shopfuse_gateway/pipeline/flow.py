"""The request flow: the stages in their order, for all four methods. They differ in the data of the request only."""

from __future__ import annotations

from shopfuse_gateway.pipeline.answer import Answer, Ranked, build_answer
from shopfuse_gateway.pipeline.candidates import describe
from shopfuse_gateway.pipeline.encode import encode
from shopfuse_gateway.pipeline.policy import apply_policy
from shopfuse_gateway.pipeline.rank import rank
from shopfuse_gateway.pipeline.recall import recall
from shopfuse_gateway.pipeline.user import read_user
from shopfuse_gateway.releases.engine import Call, Engine
from shopfuse_gateway.telemetry.impression_log import Impressions, impression


async def answer(engine: Engine, call: Call, impressions: Impressions) -> Answer:
    """Raises ItemNotFound, InvalidPageToken, PageTokenExpired. A stage that fails or is late degrades the answer."""
    if call.request.is_empty:
        return Answer()
    page = None
    if call.request.page_token:
        page = engine.tokens.read(call.request.page_token, call.request.fingerprint)
        call = call.pinned(page)
    journal = call.journal
    with journal.stage("features"):
        user = read_user(engine, call)
    with journal.stage("encode"):
        intent = await encode(engine, call, user)
    with journal.stage("recall"):
        recalled = await recall(engine, call, intent, page)
    with journal.stage("item_features"):
        candidates = await describe(engine, call, user, recalled)
    with journal.stage("rank"):
        scores = await rank(engine, call, user, intent, candidates)
    with journal.stage("policy"):
        ranking = apply_policy(call.request, candidates, scores, page)
    ranked = Ranked(page, recalled, candidates, scores, ranking)
    given = build_answer(engine, call, ranked)
    impressions.offer(impression(engine, call, ranked, given))
    return given
