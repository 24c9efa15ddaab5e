"""Stage "recall": several channels look for candidates at once; one that fails or is late is done without.

Filters and exclusions go into the channels as a selection, so that a narrow filter still fills a page.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shopfuse.gateway.encode import Intent
from shopfuse.gateway.engine import Call, Engine
from shopfuse.gateway.page_token import Page, capacity
from shopfuse.ranking.filter import NO_FILTER, ItemFilter
from shopfuse.recall.found import Found
from shopfuse.recall.indexes import RecallIndexes, RecallQuery
from shopfuse.recall.merge import merge
from shopfuse.recall.selection import Selection

log = logging.getLogger(__name__)

SHARE = 0.6  # of the time left: item features and the ranker need the rest
UNRESTRICTED = (ItemFilter(), NO_FILTER)  # a copy of one mask at most: not worth a thread
NO_EXCLUSIONS = np.zeros(0, np.int32)
Search = Callable[[RecallIndexes, RecallQuery, int, Selection | None], Found]


@dataclass(frozen=True, slots=True)
class Channel:
    """`applies`: the query brings what the channel needs. `without`: the query less that, for a channel that failed."""

    applies: Callable[[RecallQuery], bool]
    search: Search
    without: Callable[[RecallQuery], RecallQuery]


def _semantic(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Found:
    assert query.text_embedding is not None
    return indexes.semantic.search(query.text_embedding, k, selection)


def _visual(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Found:
    assert query.image_embedding is not None
    return indexes.search_visual(query.image_embedding, k, selection)


def _behaviour(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Found:
    assert query.behaviour_vector is not None
    return indexes.behaviour.search(query.behaviour_vector, k, selection)


CHANNEL = {
    "lexical": Channel(
        lambda query: bool(query.query),
        lambda indexes, query, k, selection: indexes.lexical.search(query.query, k, selection),
        lambda query: replace(query, query=""),
    ),
    "semantic": Channel(
        lambda query: query.text_embedding is not None, _semantic, lambda query: replace(query, text_embedding=None)
    ),
    "visual": Channel(
        lambda query: query.image_embedding is not None, _visual, lambda query: replace(query, image_embedding=None)
    ),
    "behaviour": Channel(
        lambda query: query.behaviour_vector is not None,
        _behaviour,
        lambda query: replace(query, behaviour_vector=None),
    ),
    "co_visit": Channel(
        lambda query: bool((query.history_rows >= 0).any()),
        lambda indexes, query, k, selection: indexes.co_visit.search(
            query.history_rows, query.history_weights, k, selection
        ),
        lambda query: replace(query, history_rows=query.history_rows[:0], history_weights=query.history_weights[:0]),
    ),
    "popular": Channel(
        lambda query: True,
        lambda indexes, query, k, selection: indexes.popular.search(k, selection),
        lambda query: query,
    ),
}


@dataclass(frozen=True, slots=True)
class Recalled:
    rows: NDArray[np.int32]  # [c], the pool of candidates, distinct
    found: Mapping[str, Found]
    query: RecallQuery  # without what the channels that failed would need


async def recall(engine: Engine, call: Call, intent: Intent, page: Page | None) -> Recalled:
    """The candidates: those of the caller or of the page token where there are some, else what the channels find."""
    found = await _search(engine, call, intent.recall)
    query = intent.recall
    for name in (name for name, hits in found.items() if hits is None):
        query = CHANNEL[name].without(query)
    hits = {name: part for name, part in found.items() if part is not None}
    for name, part in hits.items():
        engine.metrics.candidates.labels(name).observe(len(part))
    return Recalled(_pool(engine, call, hits, page), hits, query)


def _pool(engine: Engine, call: Call, found: Mapping[str, Found], page: Page | None) -> NDArray[np.int32]:
    if call.request.given:
        rows = engine.release.indexes.items.rows(call.request.given)
        return rows[rows >= 0]
    if page is not None:
        return page.rows
    return merge(found, min(engine.settings.pool, capacity(engine.release.manifest.items)))


async def _search(engine: Engine, call: Call, query: RecallQuery) -> dict[str, Found | None]:
    """What each channel found; None for one that failed or was late."""
    names = _channels(call, query)
    if not names:
        return {}
    loop = asyncio.get_running_loop()
    try:
        selection = await asyncio.wait_for(_selection(engine, call), call.deadline.budget_s(SHARE))
    except TimeoutError:
        call.journal.degrade("recall", "FILTER_LATE")
        return dict.fromkeys(names)
    arguments = (engine.release.indexes, query, engine.settings.per_channel, selection)
    running = {name: loop.run_in_executor(engine.threads, CHANNEL[name].search, *arguments) for name in names}
    await asyncio.wait(running.values(), timeout=call.deadline.budget_s(SHARE))
    return {name: _result(call, name, future) for name, future in running.items()}


def _channels(call: Call, query: RecallQuery) -> Sequence[str]:
    """The surface's channels that apply. Where no vector could be had, what is popular fills the pool."""
    channels = call.request.surface.channels
    if channels and query.behaviour_vector is None and "popular" not in channels:
        channels = (*channels, "popular")
    return [name for name in channels if CHANNEL[name].applies(query)]


async def _selection(engine: Engine, call: Call) -> Selection | None:
    items, wanted = engine.release.indexes.items, call.request.item_filter
    excluded = items.rows(call.request.excluded) if call.request.excluded else NO_EXCLUSIONS
    if wanted in UNRESTRICTED:
        return items.select(wanted, excluded)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(engine.threads, items.select, wanted, excluded)


def _result(call: Call, name: str, future: asyncio.Future[Found]) -> Found | None:
    if not future.done():
        future.cancel()
        call.journal.degrade("recall", f"{name.upper()}_LATE")
        return None
    if (error := future.exception()) is not None:
        log.error("recall channel %s failed", name, exc_info=error)
        call.journal.degrade("recall", f"{name.upper()}_FAILED")
        return None
    return future.result()
