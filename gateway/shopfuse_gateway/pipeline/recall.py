"""Stage "recall": the channels of shopfuse.recall look for candidates at once; one that fails or is late is done
without.

Filters and exclusions go into the channels as a selection, so that a narrow filter still fills a page.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.filter import NO_FILTER, ItemFilter
from shopfuse.recall.channels import applicable_channels, merge, search
from shopfuse.recall.groups import Groups
from shopfuse.recall.hits import Hits
from shopfuse.recall.matching.match_set import MatchSet, match
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.selection import Selection
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.pipeline.encode import Intent
from shopfuse_gateway.releases.engine import Engine
from shopfuse_gateway.releases.page_token import Page, capacity

log = logging.getLogger(__name__)
T = TypeVar("T")

SHARE = 0.6  # of the time left: item features and the ranker need the rest
UNRESTRICTED = (ItemFilter(), NO_FILTER)  # a copy of one mask at most: not worth a thread
NO_EXCLUSIONS = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Recalled:
    rows: NDArray[np.int32]  # [c], the pool of candidates, distinct
    hits: Mapping[str, Hits]  # by channel
    query: RecallQuery  # without what the channels that failed would need
    selection: Selection | None  # what the filter lets pass; None is everything
    matched: MatchSet | None  # None without words, and where it failed or was late


async def recall(engine: Engine, call: Call, intent: Intent, page: Page | None) -> Recalled:
    """The candidates: those of the caller or of the page token where there are some, else what the channels find."""
    query, hits = intent.recall, {}
    found = await _search(engine, call, query)
    for name, part in found.hits.items():
        if part is None:
            query = engine.release.indexes.channels[name].without(query)
        else:
            hits[name] = part
            engine.metrics.candidates.labels(name).observe(len(part))
    rows = _pool(engine, call, hits, found.matched, page)
    return Recalled(rows, hits, query, found.selection, found.matched)


def _pool(
    engine: Engine, call: Call, hits: Mapping[str, Hits], matched: MatchSet | None, page: Page | None
) -> NDArray[np.int32]:
    if call.request.candidate_ids:
        rows = engine.release.indexes.items.rows(call.request.candidate_ids)
        return rows[rows >= 0]
    groups = engine.release.indexes.items.groups
    if page is not None and not groups.present:
        return page.rows
    in_order = None if matched is None else matched.first
    found = merge(hits, _most(engine), groups) if in_order is None else in_order
    return found if page is None else _continued(page, found, groups, call.request.page_size)[: _most(engine)]


def _continued(page: Page, found: NDArray[np.int32], groups: Groups, size: int) -> NDArray[np.int32]:
    """The list that a token holds, and behind it the variants that were found of the products on this page: a token
    does not say in which order they follow."""
    shown = groups.code[page.rows[page.offset : page.offset + size]]
    others = np.isin(groups.code[found], shown) & ~np.isin(found, page.rows)
    return np.concatenate([page.rows, found[others]])


def _most(engine: Engine) -> int:
    """The most candidates of a list: all of them go into a page token."""
    return min(engine.settings.pool, capacity(engine.release.manifest.items))


@dataclass(frozen=True, slots=True)
class _Found:
    hits: Mapping[str, Hits | None]  # of each channel; None for one that failed or was late
    selection: Selection | None
    matched: MatchSet | None


async def _search(engine: Engine, call: Call, query: RecallQuery) -> _Found:
    indexes = engine.release.indexes
    names = applicable_channels(indexes, query, call.request.surface)
    if not names:
        return _Found({}, None, None)
    loop = asyncio.get_running_loop()
    budget_s = call.deadline.budget_s(SHARE)
    try:
        if budget_s <= 0:  # nothing is begun that nobody waits for
            raise TimeoutError
        async with asyncio.timeout(budget_s):
            selection = await _selection(engine, call)
    except TimeoutError:
        call.trace.degrade("recall", "FILTER_LATE")
        return _Found(dict.fromkeys(names), Selection(np.zeros(len(indexes.items), np.bool_)), None)
    arguments = (query, engine.settings.per_channel, selection)
    running = {name: loop.run_in_executor(engine.threads, search, indexes, name, *arguments) for name in names}
    words = call.request.query, call.reading.words
    asked = indexes, *words, selection, call.request.sort_order, _most(engine)
    matching = (
        loop.run_in_executor(engine.threads, match, engine.release.matching, *asked) if call.reading.words else None
    )
    waiting: list[asyncio.Future[Any]] = [*running.values(), *([matching] if matching else [])]
    await asyncio.wait(waiting, timeout=call.deadline.budget_s(SHARE))
    hits = {name: _result(call, name, future) for name, future in running.items()}
    return _Found(hits, selection, _result(call, "matches", matching) if matching else None)


async def _selection(engine: Engine, call: Call) -> Selection | None:
    items, item_filter = engine.release.indexes.items, call.request.item_filter
    if item_filter in UNRESTRICTED and not call.reading.unwanted:
        return items.select(item_filter, excluded_rows(engine, call))
    return await asyncio.get_running_loop().run_in_executor(engine.threads, _select, engine, call)


def _select(engine: Engine, call: Call) -> Selection | None:
    return engine.release.indexes.items.select(call.request.item_filter, excluded_rows(engine, call))


def excluded_rows(engine: Engine, call: Call) -> NDArray[np.int32]:
    """What must not come back: what the caller names, of an item that others are sought like its variants, and items
    that have what the query asks to be absent."""
    request, indexes = call.request, engine.release.indexes
    parts = [indexes.items.rows(request.excluded)] if request.excluded else []
    if request.seed:
        seed = indexes.items.rows([request.seed])
        parts.append(indexes.items.groups.variants(seed[seed >= 0])[0])
    if call.reading.unwanted:
        parts.append(indexes[LEXICAL_INDEX].unwanted(call.reading.unwanted))
    return np.concatenate(parts) if parts else NO_EXCLUSIONS


def _result(call: Call, name: str, future: asyncio.Future[T]) -> T | None:
    if not future.done():
        future.cancel()
        call.trace.degrade("recall", f"{name.upper()}_LATE")
        return None
    if (error := future.exception()) is not None:
        log.error("recall: %s failed", name, exc_info=error)
        call.trace.degrade("recall", f"{name.upper()}_FAILED")
        return None
    return future.result()
