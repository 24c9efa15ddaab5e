"""The requests that benchmarks send: drawn from the shop's own items, users and searches, the same ones every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from shopfuse.datasets.workspace import Workspace
from shopfuse.v1.recommendation_pb2 import RankItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest

REQUESTS = 64


def _distinct(events: pl.LazyFrame, column: str) -> list[str]:
    values: list[str] = events.select(pl.col(column).drop_nulls().unique().sort()).collect()[column].to_list()
    return values


def _draw(draw: np.random.Generator, values: list[str]) -> str:
    return values[draw.integers(len(values))] if values else ""


def rank_requests(workspace: Path, candidates: int, query: str = "") -> list[RankItemsRequest]:
    """Requests with random candidates, each for another user where the shop knows users."""
    shop = Workspace.open(workspace)
    ids = shop.items().select("item_id").collect()["item_id"].to_list()
    users = _distinct(shop.events(), "user_id")
    draw = np.random.default_rng(0)
    size = min(candidates, len(ids))
    return [
        RankItemsRequest(
            item_ids=[ids[at] for at in draw.choice(len(ids), size, replace=False)],
            user_id=_draw(draw, users),
            query=query,
        )
        for _ in range(REQUESTS)
    ]


def search_requests(workspace: Path) -> list[SearchRequest]:
    """Searches that the shop has seen, or for titles of its items where it has seen none, each by another user."""
    shop = Workspace.open(workspace)
    queries = _distinct(shop.events(), "query") or shop.items().select("title").collect()["title"].to_list()
    users = _distinct(shop.events(), "user_id")
    draw = np.random.default_rng(0)
    return [SearchRequest(query=_draw(draw, queries)[:256], user_id=_draw(draw, users)) for _ in range(REQUESTS)]
