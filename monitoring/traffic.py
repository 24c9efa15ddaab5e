"""Requests of every kind, one after the other, for as long as a block lasts: what tests and previews look at."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle

from shopfuse.local.client import Client, RequestFailed, call, connect
from shopfuse.local.requests import rank_request, recommend_request, search_request, similar_request
from shopfuse.v1.text_pb2 import ClassifyTextRequest

PAUSE_S = 0.02
TIMEOUT_S = 5.0
STRANGER = "nobody-knows-me"
CANDIDATES = 50


@contextmanager
def traffic(address: str, users: Sequence[str], items: Sequence[str], queries: Sequence[str]) -> Iterator[Counter[str]]:
    """Counts the answers as they come: ok, degraded, failed."""
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def run() -> None:
        with connect(address) as client:
            for user, item, query in zip(cycle(users), cycle(items), cycle(queries), strict=False):
                for method, request in _visit(client, user, item, query, items):
                    if stop.wait(PAUSE_S):
                        return
                    try:
                        answer = call(method, request, TIMEOUT_S)
                        outcomes["degraded" if getattr(answer, "degraded", False) else "ok"] += 1
                    except RequestFailed:
                        outcomes["failed"] += 1

    thread = threading.Thread(target=run, name="traffic")
    thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        thread.join()


def _visit(client: Client, user: str, item: str, query: str, items: Sequence[str]) -> tuple[tuple[object, object], ...]:
    return (
        (client.searches.Search, search_request(query, user=user)),
        (client.recommendations.Recommend, recommend_request(user)),
        (client.recommendations.Recommend, recommend_request(STRANGER)),
        (client.recommendations.RecommendSimilarItems, similar_request(item, user=user)),
        (client.recommendations.RankItems, rank_request(items[:CANDIDATES], query=query, user=user)),
        (client.texts.ClassifyText, ClassifyTextRequest(texts=[query])),
    )
