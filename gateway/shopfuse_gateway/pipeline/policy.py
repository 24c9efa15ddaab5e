"""Stage "policy": which candidates may be shown, and in which order. Every removal has a reason.

Exclusions and filters already hold inside recall; the rules here see the feature store, which is fresher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.matching.match_set import RELEVANCE, sort_keys
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.pipeline.candidates import Candidates
from shopfuse_gateway.pipeline.rank import Scores
from shopfuse_gateway.pipeline.request import RankingRequest
from shopfuse_gateway.releases.engine import Engine
from shopfuse_gateway.releases.page_token import Page

Rule = Callable[[RankingRequest, Candidates], NDArray[np.bool_]]


def _excluded(request: RankingRequest, candidates: Candidates) -> NDArray[np.bool_]:
    ids = {item_id.encode() for item_id in request.excluded}
    return np.array([item_id in ids for item_id in candidates.ids], np.bool_)


def _unavailable(request: RankingRequest, candidates: Candidates) -> NDArray[np.bool_]:
    if request.item_filter.include_unavailable:
        return np.zeros(len(candidates), np.bool_)
    gone: NDArray[np.bool_] = candidates.items["available"] <= 0
    return gone


def _asked_order(engine: Engine, request: RankingRequest, candidates: Candidates) -> list[NDArray[np.float64]]:
    """What comes before relevance, [c] each; nothing in a list by relevance."""
    if request.sort_order == RELEVANCE:
        return []
    return [sort_keys(engine.release.indexes, request.sort_order, candidates.rows)]


# reason -> the candidates that it removes. The first rule that fits gives the reason.
RULES: dict[str, Rule] = {
    "EXCLUDED": _excluded,
    "UNAVAILABLE": _unavailable,
    "PURCHASED": lambda _, candidates: candidates.bought_enough,
    "UNRELATED": lambda request, candidates: candidates.unrelated & (not is_fallback(request, candidates)),
}


@dataclass(frozen=True, slots=True)
class Ranking:
    order: NDArray[np.int64]  # positions among the candidates, best first
    removed: dict[str, int]  # reason -> candidates


def is_fallback(request: RankingRequest, candidates: Candidates) -> bool:
    """Whether nothing answers the query and the caller takes what comes closest."""
    return request.allow_fallback and len(candidates) > 0 and bool(candidates.unrelated.all())


def apply_policy(engine: Engine, call: Call, candidates: Candidates, scores: Scores, page: Page | None) -> Ranking:
    """The order that is shown, of a product's variants the best one. A later page keeps the first page's order; a
    caller's candidates all come back."""
    request = call.request
    if page is not None:
        return Ranking(np.arange(len(page.rows)), {})
    kept, removed = np.ones(len(candidates), np.bool_), {}
    if not request.candidate_ids:
        for reason, rule in RULES.items():
            gone = kept & rule(request, candidates)
            removed[reason] = int(gone.sum())
            kept &= ~gone
    keys: list[NDArray[Any]] = [candidates.rows, -scores.score, *_asked_order(engine, request, candidates)]
    order = np.lexsort(keys)
    order = order[kept[order]]
    if not request.candidate_ids:
        shown = engine.release.indexes.items.groups.once(candidates.rows[order])
        removed["VARIANT"], order = len(order) - len(shown), order[shown]
    return Ranking(order, removed)
