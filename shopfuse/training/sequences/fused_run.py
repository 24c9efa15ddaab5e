"""The fused row of one seed: the sequence models, what goes together, and attributes, ordered by one stacked ranker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.training.sequences.candidates import find_candidates
from shopfuse.training.sequences.counted_rows import Counted
from shopfuse.training.sequences.item_profiles import item_profiles
from shopfuse.training.sequences.model_runs import Data, ModelRun
from shopfuse.training.sequences.stacking import fit_stack

LEARNED_FROM = 12_000  # validation users, at most
_STEPS = 3


@dataclass(frozen=True, slots=True)
class FusedRun:
    seed: int
    ranks: NDArray[np.int32]  # [U] of the test targets
    kind: str  # of the ranker that was chosen
    channels: tuple[str, ...]
    validation_ndcg: float  # NDCG@10 of validation users whose fold was not learned from
    reached: float  # share of the test targets that a channel named
    seconds: float


def fuse_run(data: Data, counted: Counted, runs: Sequence[ModelRun], seed: int, progress: Progress) -> FusedRun:
    """Learns the fusion of the models `runs` and of what was counted on validation, and ranks the test targets."""
    started, stage = time.monotonic(), f"fusion, seed {seed}"
    channels = {run.wanted.row: run.scores(data) for run in runs} | counted.channels()
    profiles = item_profiles(data.split.train_counts, data.attributes)
    users = np.random.default_rng(seed).permutation(len(data.split.validation))[:LEARNED_FROM]
    progress(stage, 0, _STEPS)
    learned = find_candidates(channels, data.split.validation.take(users), profiles)
    progress(stage, 1, _STEPS)
    stacked = fit_stack(learned, seed)
    progress(stage, 2, _STEPS)
    asked = find_candidates(channels, data.split.test, profiles)
    ranks, reached = stacked.ranks(asked), float((asked.place >= 0).mean())
    progress(stage, _STEPS, _STEPS)
    seconds = time.monotonic() - started
    return FusedRun(seed, ranks, stacked.kind, tuple(channels), stacked.validation_ndcg, reached, seconds)
