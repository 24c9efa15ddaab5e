"""Held-out lists with what the ranker says of every candidate: for calibration and for the worth of its inputs.

Lists are replayed as training replays them, but clicked or not, and through indexes as of the held-out moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.evaluation.report.bench import Bench
from shopfuse.evaluation.report.held_out import impression_lists
from shopfuse.training.data.snapshot import ItemVectors
from shopfuse.training.examples.impressions import Replay
from shopfuse.training.examples.ranker_data import RankerData
from shopfuse.training.examples.user_inputs import user_inputs
from shopfuse.training.trainers.ranker_choice import list_probabilities
from shopfuse.training.trainers.tower_vectors import query_vectors, user_vectors


@dataclass(frozen=True, slots=True)
class JudgedLists:
    """[R] lists of at most L candidates. `clicked` chooses the lists with an event: only they can order anything."""

    data: RankerData
    items: ItemVectors
    probabilities: NDArray[np.float32]  # [R, L, T]

    @property
    def clicked(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.data.lists.outcome.any(1))


def judged_lists(bench: Bench, progress: Progress) -> JudgedLists | None:
    """None where nothing is held out."""
    if bench.held_out is None or bench.past is None:
        return None
    log, models = bench.past.log, bench.models
    lists = impression_lists(log, bench.held_out.since, bench.sizes.lists, bench.seed)
    if not lists:
        return None
    shop = bench.served(bench.past, bench.inputs, [])
    codes = np.array([one.request for one in lists], np.int32)
    queries = [log.requests.query[code] for code in codes.tolist()]
    embeddings = bench.encode_texts(queries).astype(np.float32) * np.array([[bool(query)] for query in queries])
    inputs = user_inputs(bench.past.histories, log.requests, codes, log.scenes)
    query, user = (
        query_vectors(models.query_tower, embeddings),
        user_vectors(models.user_tower, inputs, shop.items.vectors),
    )
    replay = Replay(bench.catalogue, log, bench.past.histories, shop.snapshot, bench.seed)
    logged = replay.run(lists, embeddings, query, user, np.full(len(lists), -1, np.int32), progress)
    data = RankerData(logged, query, user, inputs)
    return JudgedLists(
        data, shop.items, list_probabilities(models.fusion_ranker, data, shop.items, np.arange(len(lists)))
    )
