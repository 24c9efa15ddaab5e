"""The one form of a request behind the four methods: they differ in data only."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise

from shopfuse.ranking.channels import RANK, RECOMMEND, SEARCH, SIMILAR, Surface
from shopfuse.ranking.features import Context
from shopfuse.ranking.filter import NO_FILTER, ItemFilter
from shopfuse.ranking.repeat_purchases import AUTO
from shopfuse.ranking.text import normalise_query, searchable
from shopfuse.recall.matching.facet_counts import DEFAULT_LIMIT, FacetSpec, Field
from shopfuse.recall.matching.match_set import RELEVANCE
from shopfuse.v1 import item_pb2, recommendation_pb2, search_pb2
from shopfuse_gateway.errors import InvalidRequest
from shopfuse_gateway.releases.page_token import Page, digest

DEFAULT_PAGE, MAX_PAGE = 20, 100
DEVICE_NAMES = {
    item_pb2.DEVICE_DESKTOP: "desktop",
    item_pb2.DEVICE_MOBILE: "mobile",
    item_pb2.DEVICE_APP: "app",
}
FACET_FIELDS: dict[search_pb2.FacetField, Field] = {
    search_pb2.FACET_FIELD_BRAND: "brand",
    search_pb2.FACET_FIELD_CATEGORY: "category",
    search_pb2.FACET_FIELD_ATTRIBUTE: "attribute",
    search_pb2.FACET_FIELD_PRICE: "price",
}
Paged = search_pb2.SearchRequest | recommendation_pb2.RecommendRequest | recommendation_pb2.RecommendSimilarItemsRequest


@dataclass(frozen=True, slots=True)
class RankingRequest:
    surface: Surface
    context: Context
    user_id: str = ""
    session_id: str = ""
    query: str = ""  # normalised; "" where nothing in it can be searched
    image: bytes = b""  # as it came: what it shows is looked at with the release that answers
    seed: str = ""  # the item to find others like
    candidate_ids: tuple[str, ...] = ()  # RankItems'; () lets the channels find them
    item_filter: ItemFilter = NO_FILTER
    excluded: tuple[str, ...] = ()
    page_size: int = DEFAULT_PAGE
    page_token: str = ""
    explain: bool = False
    repeat_purchases: int = AUTO  # of ranking/repeat_purchases.py
    disable_correction: bool = False
    allow_fallback: bool = False
    facets: tuple[FacetSpec, ...] = ()
    sort_order: int = RELEVANCE  # of recall/matching/match_set.py
    fingerprint: bytes = b""  # digest of every field but the page's, see releases/page_token.py

    @property
    def subject(self) -> str:
        """Whom the answer is for: the user, else the session, else nobody ("")."""
        return self.user_id or self.session_id

    @property
    def is_worded_search(self) -> bool:
        return self.surface == SEARCH and bool(self.query)

    @property
    def is_empty(self) -> bool:
        """True for a search of words that hold no letter and no digit: its honest answer is no item."""
        return self.surface == SEARCH and not self.query and not self.image

    def pinned(self, page: Page) -> RankingRequest:
        """The request at the time of its first page."""
        return replace(self, context=replace(self.context, at=page.at))


def from_search(message: search_pb2.SearchRequest) -> RankingRequest:
    """Words, an image, or both."""
    query, image = _searchable(message.query), message.query_image
    paged = _paged(SEARCH, message, query)
    context = replace(paged.context, query_image=bool(image))
    return replace(
        paged,
        query=query,
        image=image,
        context=context,
        disable_correction=message.disable_correction,
        allow_fallback=message.allow_fallback,
        facets=_facets(message),
        sort_order=message.sort_order,
    )


def from_recommend(message: recommendation_pb2.RecommendRequest) -> RankingRequest:
    return replace(_paged(RECOMMEND, message, ""), repeat_purchases=message.repeat_purchases)


def from_similar(message: recommendation_pb2.RecommendSimilarItemsRequest) -> RankingRequest:
    return replace(
        _paged(SIMILAR, message, ""), seed=message.item_id, excluded=(message.item_id, *message.exclude_item_ids)
    )


def from_rank(message: recommendation_pb2.RankItemsRequest) -> RankingRequest:
    query = _searchable(message.query)
    return RankingRequest(
        RANK,
        _context(message.context, query),
        message.user_id,
        message.session_id,
        query,
        candidate_ids=tuple(message.item_ids),
        page_size=len(message.item_ids),
        explain=message.explain,
    )


def _paged(surface: Surface, message: Paged, query: str) -> RankingRequest:
    return RankingRequest(
        surface,
        _context(message.context, query),
        message.user_id,
        message.session_id,
        item_filter=_item_filter(message.filter),
        excluded=tuple(message.exclude_item_ids),
        page_size=min(message.page_size or DEFAULT_PAGE, MAX_PAGE),
        page_token=message.page_token,
        explain=message.explain,
        fingerprint=_fingerprint(surface, message),
    )


def _facets(message: search_pb2.SearchRequest) -> tuple[FacetSpec, ...]:
    """Raises InvalidRequest where bounds do not ascend."""
    for place, spec in enumerate(message.facet_specs):
        if any(low >= high for low, high in pairwise(spec.price_bounds)):
            raise InvalidRequest([(f"facet_specs[{place}].price_bounds", "bounds must ascend, each above the last")])
    return tuple(
        FacetSpec(FACET_FIELDS[spec.field], spec.attribute, spec.limit or DEFAULT_LIMIT, tuple(spec.price_bounds))
        for spec in message.facet_specs
    )


def _searchable(query: str) -> str:
    normalised = normalise_query(query)
    return normalised if searchable(normalised) else ""


def _context(message: item_pb2.RequestContext, query: str) -> Context:
    at = message.time.ToMicroseconds() / 1e6 if message.HasField("time") else time.time()
    return Context(at, message.scene, DEVICE_NAMES.get(message.device, ""), len(query.split()))


def _item_filter(message: item_pb2.ItemFilter) -> ItemFilter:
    return ItemFilter(
        tuple(message.brands),
        tuple(message.categories),
        tuple((condition.name, tuple(condition.values)) for condition in message.attributes),
        message.min_price if message.HasField("min_price") else None,
        message.max_price if message.HasField("max_price") else None,
        message.include_unavailable,
    )


def _fingerprint(surface: Surface, message: Paged) -> bytes:
    """The digest of every field but page_size and page_token: a client may change the size from page to page."""
    same = deepcopy(message)
    same.ClearField("page_token")
    same.ClearField("page_size")
    return digest(surface.encode() + b"\0" + same.SerializeToString(deterministic=True))
