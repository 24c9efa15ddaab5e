"""What answering a request needs: opened once for each release, passed to every stage.

A request keeps its engine from start to end: so whatever it reads of a release is of the same one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from shopfuse.gateway.deadline import Deadline
from shopfuse.gateway.journal import Journal
from shopfuse.gateway.metrics import Metrics
from shopfuse.gateway.page_token import Page, PageTokens
from shopfuse.gateway.query_cache import EncodedPicture, EncodedQuery, QueryCache
from shopfuse.gateway.release import LoadedRelease
from shopfuse.gateway.request import RankingRequest
from shopfuse.gateway.settings import Settings
from shopfuse.gateway.triton_client import TritonClient
from shopfuse.state.store import FeatureStore


@dataclass(frozen=True, slots=True)
class Engine:
    settings: Settings
    release: LoadedRelease
    store: FeatureStore
    triton: TritonClient
    queries: QueryCache[EncodedQuery]
    pictures: QueryCache[EncodedPicture]
    threads: ThreadPoolExecutor  # for recall: work of more than a millisecond leaves the event loop
    decoders: ThreadPoolExecutor  # for pictures: apart, so that a burst of large ones does not hold up recall
    tokens: PageTokens
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way through the stages."""

    request: RankingRequest
    deadline: Deadline
    journal: Journal

    def pinned(self, page: Page) -> Call:
        """The call at the time of the request's first page."""
        return replace(self, request=self.request.pinned(page))
