"""The requests that programs on this machine send: plain values in, messages of the API out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.v1.item_pb2 import AttributeCondition, ItemFilter, RequestContext
from shopfuse.v1.recommendation_pb2 import (
    RankItemsRequest,
    RecommendRequest,
    RecommendSimilarItemsRequest,
    RepeatPurchases,
)
from shopfuse.v1.search_pb2 import SearchRequest

MAX_IMAGE_BYTES = 2 << 20  # what the gateway takes
NO_FILTER = ItemFilter()
EVERYTHING = ItemFilter(include_unavailable=True)


def read_image(path: Path) -> bytes:
    """Raises ShopfuseError naming the file that cannot be read or is too large to send."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except OSError as error:
        raise ShopfuseError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_IMAGE_BYTES:
        raise ShopfuseError(f"{path}: more than {MAX_IMAGE_BYTES >> 20} MiB; make the image smaller")
    return data


def item_filter(
    brands: Sequence[str],
    categories: Sequence[str],
    attributes: Sequence[tuple[str, str]],
    min_price: float | None,
    max_price: float | None,
) -> ItemFilter:
    """`attributes` are pairs of a name and the value that it must have; a price of None is no bound."""
    conditions = [AttributeCondition(name=name, values=[value]) for name, value in attributes]
    chosen = ItemFilter(brands=brands, categories=categories, attributes=conditions)
    if min_price is not None:
        chosen.min_price = min_price
    if max_price is not None:
        chosen.max_price = max_price
    return chosen


def context(scene: str = "", at: float | None = None) -> RequestContext:
    """`at` is the moment that the request is of, in seconds since the epoch; None means now."""
    circumstances = RequestContext(scene=scene)
    if at is not None:
        circumstances.time.FromMicroseconds(round(at * 1e6))
    return circumstances


def search_request(
    query: str = "",
    *,
    image: bytes = b"",
    user: str = "",
    scene: str = "",
    at: float | None = None,
    items: ItemFilter = NO_FILTER,
    page_size: int = 10,
    page_token: str = "",
    explain: bool = False,
) -> SearchRequest:
    """Words, an image, or both; `items` are those that may answer."""
    return SearchRequest(
        query=query,
        query_image=image,
        user_id=user,
        context=context(scene, at),
        filter=items,
        page_size=page_size,
        page_token=page_token,
        explain=explain,
    )


def recommend_request(
    user: str = "",
    *,
    scene: str = "",
    at: float | None = None,
    items: ItemFilter = NO_FILTER,
    repeat_purchases: RepeatPurchases = RepeatPurchases.REPEAT_PURCHASES_UNSPECIFIED,
    page_size: int = 10,
    page_token: str = "",
    explain: bool = False,
) -> RecommendRequest:
    return RecommendRequest(
        user_id=user,
        context=context(scene, at),
        filter=items,
        repeat_purchases=repeat_purchases,
        page_size=page_size,
        page_token=page_token,
        explain=explain,
    )


def similar_request(
    item: str,
    *,
    user: str = "",
    at: float | None = None,
    page_size: int = 10,
    page_token: str = "",
    explain: bool = False,
) -> RecommendSimilarItemsRequest:
    return RecommendSimilarItemsRequest(
        item_id=item, user_id=user, context=context(at=at), page_size=page_size, page_token=page_token, explain=explain
    )


def rank_request(
    items: Sequence[str],
    *,
    query: str = "",
    user: str = "",
    scene: str = "",
    at: float | None = None,
    explain: bool = False,
) -> RankItemsRequest:
    return RankItemsRequest(item_ids=items, query=query, user_id=user, context=context(scene, at), explain=explain)
