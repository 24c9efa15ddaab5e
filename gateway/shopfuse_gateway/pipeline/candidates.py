"""Stage "item_features": everything the ranker sees of the candidates, in one batched read and one pass of numpy."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS, SEARCH
from shopfuse.ranking.features import candidate_features, missing_item_row
from shopfuse.ranking.repeats import Memory
from shopfuse.recall.categories import CATEGORY_INDEX
from shopfuse.recall.channels import channel_scores
from shopfuse.recall.meaning_floor import unrelated
from shopfuse.state.store import StoreError
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.pipeline.recall import Recalled
from shopfuse_gateway.pipeline.repeat_purchases import bought_enough
from shopfuse_gateway.pipeline.user import User
from shopfuse_gateway.releases.engine import Engine

log = logging.getLogger(__name__)

SHARE = 0.5
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Candidates:
    """Without slots: what is remembered of the candidates is looked up where somebody asks."""

    rows: NDArray[np.int32]  # [c]
    groups: NDArray[np.int32]  # [c], what the user remembers of a product is of all its variants
    ids: list[bytes]  # [c]
    items: NDArray[np.void]  # [c] of ITEM_ROW
    features: Floats  # [c, F]
    channel_scores: Floats  # [c, K]
    channel_mask: Floats  # [c, K]
    memory: Memory  # of the user
    bought_enough: NDArray[np.bool_]  # [c], see repeat_purchases.py
    unrelated: NDArray[np.bool_]  # [c], to the words of a search

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def repeats(self) -> NDArray[np.void]:
        """What is remembered of the user and each: REPEAT [c]."""
        return self.memory.of(self.groups)


async def describe(engine: Engine, call: Call, user: User, recalled: Recalled) -> Candidates:
    rows = recalled.rows
    ids: list[bytes] = engine.release.indexes.items.ids[rows].tolist()
    items = _items(engine, call, ids)
    scenes = engine.release.manifest.scenes
    groups = engine.release.indexes.items.groups.of_rows(rows)
    features = candidate_features(groups, items, user.history, call.request.context, scenes)
    scores, mask = await _channel_scores(engine, call, recalled)
    memory = user.history.memory
    enough, far = bought_enough(engine, call, groups, memory), _unrelated(engine, call, scores, mask)
    return Candidates(rows, groups, ids, items, features, scores, mask, memory, enough, far)


def _unrelated(engine: Engine, call: Call, scores: Floats, mask: Floats) -> NDArray[np.bool_]:
    """The candidates that do not answer the words of a search. What shoppers asked for and found is no nonsense."""
    request = call.request
    if request.surface != SEARCH or not request.query or request.image or _was_asked(engine, call):
        return np.zeros(len(scores), np.bool_)
    manifest = engine.release.manifest
    return unrelated(scores, mask, manifest.meaning_floor, call.reading, bool(manifest.without_meaning))


def _was_asked(engine: Engine, call: Call) -> bool:
    return engine.release.indexes[CATEGORY_INDEX].chosen.was_asked(call.reading.key)


def _items(engine: Engine, call: Call, ids: list[bytes]) -> NDArray[np.void]:
    try:
        items, present = engine.store.items(ids)
    except StoreError as error:
        log.warning("%s", error)
        call.trace.degrade("item_features", "STORE_UNAVAILABLE")
        return np.repeat(missing_item_row(), len(ids))
    engine.metrics.item_reads.inc(len(ids))
    if missing := len(ids) - int(present.sum()):
        engine.metrics.feature_missing.labels("item").inc(missing)
    if present.any():
        updated_at = float(items["updated_at"][present].min())
        engine.metrics.feature_age.observe(max(call.request.context.at - updated_at, 0.0))
    return items


async def _channel_scores(engine: Engine, call: Call, recalled: Recalled) -> tuple[Floats, Floats]:
    """Every channel's score for every candidate; where that fails, the scores of the channels' hits."""
    arguments = (engine.release.indexes, recalled.rows, recalled.query)
    if not recalled.query.query:  # all but the lexical channel are look-ups
        return channel_scores(*arguments)
    future = asyncio.get_running_loop().run_in_executor(engine.threads, channel_scores, *arguments)
    await asyncio.wait([future], timeout=call.deadline.budget_s(SHARE))
    if future.done() and (error := future.exception()) is None:
        return future.result()
    if future.done():
        log.error("channel scores failed", exc_info=error)
    future.cancel()
    call.trace.degrade("item_features", "CHANNEL_SCORES_FAILED" if future.done() else "CHANNEL_SCORES_LATE")
    return _hit_scores(recalled)


def _hit_scores(recalled: Recalled) -> tuple[Floats, Floats]:
    scores = np.zeros((len(recalled.rows), len(CHANNELS)), np.float32)
    mask = np.zeros_like(scores)
    for name, hits in recalled.hits.items():
        _, at, of = np.intersect1d(recalled.rows, hits.rows, assume_unique=True, return_indices=True)
        scores[at, CHANNEL_COLUMN[name]] = hits.scores[of]
        mask[:, CHANNEL_COLUMN[name]] = 1.0
    return scores, mask
