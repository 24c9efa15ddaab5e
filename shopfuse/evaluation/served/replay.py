"""The served recommender on a shop's own past: built from what was known, served, and asked who did what next.

A scratch workspace holds the shop without what is held out, so that nothing of it can be known. Judged weights and
tuned settings stay behind: they were chosen on events that may be held out. So do reviews: recommendations read none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.parquet import write_parquet
from shopfuse.datasets.workspace import Workspace
from shopfuse.local.client import call, connect
from shopfuse.local.stack import served_workspace
from shopfuse.recall.item_table import ItemTable
from shopfuse.release.layout import ReleaseLayout
from shopfuse.v1.recommendation_pb2 import RecommendRequest

IN_FLIGHT = 4  # requests at once: gateway, Triton and this process each have work
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ServedAnswers:
    """What the gateway answered with, best first."""

    rankings: NDArray[np.int32]  # [requests, page] rows of the release, -1 where there are fewer
    degraded: int  # answers that say so


def make_scratch(shop: Workspace, folder: Path, known: pl.DataFrame) -> Workspace:
    """A workspace in the new or empty `folder`: the shop with the events `known` (EVENT_SCHEMA, by time) alone."""
    scratch = Workspace.create(folder, shop.settings)
    for source in (shop.paths.items, shop.paths.images, shop.paths.photos):
        _link(source, scratch.root / source.relative_to(shop.root))
    for cache in (shop.paths.exported_encoders, shop.paths.text_vectors):  # by the hash of what is encoded
        if cache.is_dir():
            shutil.copytree(cache, scratch.root / cache.relative_to(shop.root))
    for (day,), rows in known.group_by(pl.col("timestamp").dt.date(), maintain_order=True):
        write_parquet(scratch.paths.events_of(day), rows)
    return scratch


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the file systems differ. Tables are replaced, never edited."""
    if not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def ask_served(
    workspace: Path, release_id: str, requests: Sequence[RecommendRequest], progress: Progress
) -> ServedAnswers:
    """Serves the workspace and puts the requests to its gateway, several at once. Raises RequestFailed."""
    items = ItemTable.open(ReleaseLayout(Workspace.open(workspace).paths.release(release_id)).items)
    rankings = np.full((len(requests), max(request.page_size for request in requests)), -1, np.int32)
    degraded = 0
    with ExitStack() as stack:
        endpoints = stack.enter_context(served_workspace(workspace, progress))
        client = stack.enter_context(connect(endpoints.grpc))
        threads = ThreadPoolExecutor(IN_FLIGHT)
        stack.callback(threads.shutdown, cancel_futures=True)  # where one fails, the others are not asked any more
        answers = threads.map(lambda request: call(client.recommendations.Recommend, request, TIMEOUT_S), requests)
        for place, answer in enumerate(answers):
            ids = [item.item_id for item in answer.items]
            rankings[place, : len(ids)] = items.rows(ids)
            degraded += answer.degraded
            progress("ask the gateway", place + 1, len(requests))
    return ServedAnswers(rankings, degraded)
