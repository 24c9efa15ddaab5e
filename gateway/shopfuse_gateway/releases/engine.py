"""What answering a request needs: opened once for each release, passed to every stage.

A request keeps its engine from start to end: so whatever it reads of a release is of the same one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shopfuse.state.store import FeatureStore
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from shopfuse_gateway.releases.page_token import PageTokens
from shopfuse_gateway.releases.query_cache import EncodedImage, EncodedQuery, QueryCache
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.metrics import Metrics
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
