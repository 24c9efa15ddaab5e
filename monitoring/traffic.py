"""Requests of every kind, one after the other, for as long as a block lasts: what tests and previews look at."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle

from shopfuse.local.client import Client, RequestFailed, call, connect
from shopfuse.local.requests import rank_request, recommend_request, search_request, similar_request
from shopfuse.v1.completion_pb2 import CompleteQueryRequest
from shopfuse.v1.search_pb2 import FACET_FIELD_BRAND, FACET_FIELD_PRICE, FacetSpec
from shopfuse.v1.text_pb2 import ClassifyTextRequest

PAUSE_S = 0.02
TIMEOUT_S = 5.0
STRANGER = "nobody-knows-me"
CANDIDATES = 50
FACETS = (FacetSpec(field=FACET_FIELD_BRAND), FacetSpec(field=FACET_FIELD_PRICE))
LETTERS = 3  # typed before the shopper looks at what is offered


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
    search = search_request(query, user=user)
    search.facet_specs.extend(FACETS)
    return (
        *(
            (client.completions.CompleteQuery, CompleteQueryRequest(prefix=query[:end]))
            for end in range(1, LETTERS + 1)
        ),
        (client.searches.Search, search),
        (client.recommendations.Recommend, recommend_request(user)),
        (client.recommendations.Recommend, recommend_request(STRANGER)),
        (client.recommendations.RecommendSimilarItems, similar_request(item, user=user)),
        (client.recommendations.RankItems, rank_request(items[:CANDIDATES], query=query, user=user)),
        (client.texts.ClassifyText, ClassifyTextRequest(texts=[query])),
    )
