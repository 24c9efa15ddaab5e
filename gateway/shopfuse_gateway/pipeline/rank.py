"""Stage "rank": one score for each candidate, all in one call. Without Triton the channels decide (degraded), and where
no ranker has learned to: in a search by image, which no shop logs, and among similar items unless visits taught it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import SEARCH, SIMILAR
from shopfuse.ranking.fusion import PLAIN, fuse
from shopfuse.ranking.order import in_order
from shopfuse.ranking.tensors import COUNT_BUCKETS, VECTOR, bucket, pad_rows
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.pipeline.candidates import Candidates
from shopfuse_gateway.pipeline.encode import Intent
from shopfuse_gateway.pipeline.user import User, user_tensors
from shopfuse_gateway.releases.engine import Engine
from shopfuse_gateway.triton.client import TritonCallError

NO_VECTOR = np.zeros(VECTOR, np.float32)
ABSENT, PRESENT = np.zeros(1, np.float32), np.ones(1, np.float32)


@dataclass(frozen=True, slots=True)
class Scores:
    score: NDArray[np.float32]  # [c]
    tasks: NDArray[np.float32] | None  # [c, T]; None without the ranker
    modality_weights: NDArray[np.float32]  # [c, M]


async def rank(engine: Engine, call: Call, user: User, intent: Intent, candidates: Candidates) -> Scores:
    scores = await _rank(engine, call, user, intent, candidates)
    return replace(scores, score=in_order(scores.score, candidates.channel_scores, candidates.channel_mask))


async def _rank(engine: Engine, call: Call, user: User, intent: Intent, candidates: Candidates) -> Scores:
    if len(candidates) == 0 or not _is_learned(engine, call):
        return _by_channels(engine, call, candidates)
    in_ensemble = user.is_known and intent.user_vector is None
    models = engine.release.models
    model = models.rank_by_vector if in_ensemble else models.fusion_ranker
    size = bucket(len(candidates), COUNT_BUCKETS)
    arrays = {
        **_request_tensors(user, intent),
        **user_tensors(engine, call, user),
        **_candidate_tensors(engine, candidates, size),
    }
    try:
        outputs = await engine.triton.infer(model, arrays, {"candidates": size}, call.deadline.budget_s())
    except TritonCallError as error:
        call.trace.degrade("rank", f"RANKER_{error.reason}")
        return _by_channels(engine, call, candidates)
    tasks = outputs["task_probabilities"][: len(candidates)]
    return Scores(tasks @ engine.release.task_weights, tasks, outputs["modality_weights"][: len(candidates)])


def _is_learned(engine: Engine, call: Call) -> bool:
    """Whether the release's ranker has learned to answer such requests."""
    request = call.request
    return not request.image and (request.surface != SIMILAR or engine.release.manifest.ranks_similar)


def _by_channels(engine: Engine, call: Call, candidates: Candidates) -> Scores:
    scores, mask = candidates.channel_scores, candidates.channel_mask
    surface = SEARCH if call.request.context.is_search else call.request.surface
    learned = engine.release.manifest.search_weights
    relevance, modality_weights = fuse(PLAIN, scores, mask, surface, learned)
    return Scores(np.nan_to_num(relevance), None, np.nan_to_num(modality_weights))


def _request_tensors(user: User, intent: Intent) -> dict[str, NDArray[Any]]:
    return {
        "query_vector": NO_VECTOR if intent.query_vector is None else intent.query_vector,
        "query_present": ABSENT if intent.query_vector is None else PRESENT,
        "user_vector": NO_VECTOR if intent.user_vector is None else intent.user_vector,
        "user_present": PRESENT if user.is_known else ABSENT,
    }


def _candidate_tensors(engine: Engine, candidates: Candidates, size: int) -> dict[str, NDArray[Any]]:
    """The candidates' tensors, padded to `size` rows; the mask tells which are real."""
    release, rows = engine.release, candidates.rows
    tensors: dict[str, NDArray[Any]] = {
        "item_vectors": release.item_vectors[rows],
        "modality_vectors": release.modality_vectors[rows],
        "modality_mask": release.modality_mask[rows].astype(np.float32),
        "channel_scores": candidates.channel_scores,
        "channel_mask": candidates.channel_mask,
        "features": candidates.features,
        "candidate_mask": np.ones(len(rows), np.float32),
    }
    return {name: pad_rows(tensor, size) for name, tensor in tensors.items()}
