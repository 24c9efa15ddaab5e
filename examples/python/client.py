"""The four calls of a shop's backend: python client.py WORKSPACE|HOST:PORT [QUERY] [USER]."""

import json
import sys
from pathlib import Path
from typing import Any

import grpc

from shopfuse.v1.recommendation_pb2 import RankItemsRequest, RecommendRequest, RecommendSimilarItemsRequest
from shopfuse.v1.recommendation_pb2_grpc import RecommendationServiceStub
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse.v1.search_pb2_grpc import SearchServiceStub

DEADLINE_S = 1.0  # the gateway answers within it from what it has by then, and says so in `degraded`


def address(place: str) -> str:
    """HOST:PORT as it is; of a workspace, where the process that serves it answers."""
    endpoints = Path(place, "run", "endpoints.json")
    return str(json.loads(endpoints.read_text())["grpc"]) if endpoints.exists() else place


def show(what: str, answer: Any) -> list[str]:
    print(f"{what}: release {answer.served_by.release_id}{', degraded' if answer.degraded else ''}")
    for place, item in enumerate(answer.items, start=1):
        price = f"{item.price:.2f}" if item.HasField("price") else "-"
        print(f"{place:3}  {item.score:8.4f}  {item.item_id:14}  {price:>8}  {item.title[:60]}")
    return [item.item_id for item in answer.items]


def main(place: str, query: str = "boots", user: str = "") -> None:
    with grpc.insecure_channel(address(place)) as channel:
        searches, lists = SearchServiceStub(channel), RecommendationServiceStub(channel)
        asked = SearchRequest(query=query, user_id=user, page_size=5)
        found = show(f"search {query!r}", searches.Search(asked, timeout=DEADLINE_S))
        wanted = RecommendRequest(user_id=user, page_size=5)
        show(f"recommend for {user or 'a stranger'}", lists.Recommend(wanted, timeout=DEADLINE_S))
        if found:
            like = RecommendSimilarItemsRequest(item_id=found[0], user_id=user, page_size=5)
            show(f"like {found[0]}", lists.RecommendSimilarItems(like, timeout=DEADLINE_S))
            own = RankItemsRequest(item_ids=found, query=query, user_id=user)
            show(f"rank {len(found)} items", lists.RankItems(own, timeout=DEADLINE_S))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
