"""What answering a request needs: opened once for each release, passed to every stage.

A request keeps its engine from start to end: so whatever it reads of a release is of the same one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from shopfuse.state.store import FeatureStore
from shopfuse_gateway.pipeline.deadline import Deadline
from shopfuse_gateway.pipeline.request import RankingRequest
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from shopfuse_gateway.releases.page_token import Page, PageTokens
from shopfuse_gateway.releases.query_cache import EncodedImage, EncodedQuery, QueryCache
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.metrics import Metrics
from shopfuse_gateway.telemetry.request_trace import Journal
from shopfuse_gateway.triton.client import TritonClient


@dataclass(frozen=True, slots=True)
class Engine:
    settings: Settings
    release: LoadedRelease
    store: FeatureStore
    triton: TritonClient
    queries: QueryCache[EncodedQuery]
    images: QueryCache[EncodedImage]
    threads: ThreadPoolExecutor  # for recall: work of more than a millisecond leaves the event loop
    decoders: ThreadPoolExecutor  # for images: apart, so that a burst of large ones does not hold up recall
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
