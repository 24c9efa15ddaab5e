"""Every way to rank, over several seeds: what `shopfuse evaluate sequences` measures.

Rows that are counted are the same for every seed. The fused row of a seed is made of that seed's own models: nothing is
averaged over seeds. Everything is chosen on validation items; the test items only say how good it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.training.sequences.candidates import find_candidates
from shopfuse.training.sequences.counted_rows import Counted, count_rows
from shopfuse.training.sequences.fit import SequenceTraining
from shopfuse.training.sequences.item_profiles import item_profiles
from shopfuse.training.sequences.model_runs import (
    ROWS,
    Data,
    ModelRun,
    best_of,
    first_choices,
    further_runs,
    train_run,
)
from shopfuse.training.sequences.scoring import ranks
from shopfuse.training.sequences.stacking import fit_stacked
from shopfuse.training.sequences.workers import Piece, Workers

LEARNED_FROM = 12_000  # validation users, at most
_STEPS = 3


@dataclass(frozen=True, slots=True)
class FusedRun:
    """The fused row of one seed: what its models, counts and attributes name, ordered by one stacked ranker."""

    seed: int
    ranks: NDArray[np.int32]  # [U] of the test targets
    kind: str  # of the ranker that was chosen
    channels: tuple[str, ...]
    validation_ndcg: float  # NDCG@10 of validation users whose fold was not learned from
    reached: float  # share of the test targets that a channel named
    seconds: float


@dataclass(frozen=True, slots=True)
class Comparison:
    counted: Counted
    counted_ranks: dict[str, NDArray[np.int32]]  # [U] of the test targets
    models: tuple[ModelRun, ...]
    fused: tuple[FusedRun, ...]

    def ranks(self) -> dict[str, NDArray[np.int32]]:
        """Ranks of the test targets by row, [seeds, U]; counted rows have one seed."""
        ranks = {row: values[None] for row, values in self.counted_ranks.items()}
        for row in dict.fromkeys(run.wanted.row for run in self.models):
            ranks[row] = np.stack([run.ranks for run in self.runs(row)])
        return ranks | {"fused": np.stack([run.ranks for run in self.fused])}

    def runs(self, row: str) -> list[ModelRun]:
        return sorted((run for run in self.models if run.wanted.row == row), key=lambda run: run.wanted.seed)


def compare(
    data: Data, seeds: Sequence[int], training: SequenceTraining, workers: int, progress: Progress
) -> Comparison:
    """Trains, chooses on validation and ranks the test targets. `workers` processes share the work."""
    with Workers(workers, data, progress) as pool:
        trials = [Piece(train_run, (wanted, training)) for wanted in first_choices(seeds[0])]
        (counted, counted_ranks), *tried = pool.results([Piece(_count, ()), *trials])
        chosen = [best_of(row, tried) for row in ROWS]
        further = further_runs([run.wanted for run in chosen], seeds, data.attributes)
        models = [*chosen, *pool.results([Piece(train_run, (wanted, training)) for wanted in further])]
        fused = pool.results([Piece(fuse_run, (counted, _own(models, seed), seed)) for seed in seeds])
    return Comparison(counted, counted_ranks, tuple(models), tuple(fused))


def _own(models: Sequence[ModelRun], seed: int) -> list[ModelRun]:
    """What the fusion of a seed is made of: ours whole and in parts. SASRec stays what it is compared with."""
    return [run for run in models if run.wanted.seed == seed and run.wanted.row != "sasrec"]


def _count(data: Data, progress: Progress) -> tuple[Counted, dict[str, NDArray[np.int32]]]:
    counted = count_rows(data.split, progress)
    return counted, {row: ranks(scores, data.split.test) for row, scores in counted.rows().items()}


def fuse_run(data: Data, counted: Counted, runs: Sequence[ModelRun], seed: int, progress: Progress) -> FusedRun:
    """Learns the fusion of the models `runs` and of what was counted on validation, and ranks the test targets."""
    started, stage = time.monotonic(), f"fusion, seed {seed}"
    channels = {run.wanted.row: run.scores(data) for run in runs} | counted.channels()
    profiles = item_profiles(data.split.train_counts, data.attributes)
    users = np.random.default_rng(seed).permutation(len(data.split.validation))[:LEARNED_FROM]
    progress(stage, 0, _STEPS)
    learned = find_candidates(channels, data.split.validation.take(users), profiles)
    progress(stage, 1, _STEPS)
    stacked = fit_stacked(learned, seed)
    progress(stage, 2, _STEPS)
    candidates = find_candidates(channels, data.split.test, profiles)
    ranks, reached = stacked.ranks(candidates), float((candidates.place >= 0).mean())
    progress(stage, _STEPS, _STEPS)
    seconds = time.monotonic() - started
    return FusedRun(seed, ranks, stacked.kind, tuple(channels), stacked.validation_ndcg, reached, seconds)
