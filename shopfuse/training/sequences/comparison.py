"""Every way to rank, over several seeds: what `shopfuse evaluate sequences` measures.

Rows that are counted are the same for every seed. The fused row of a seed is made of that seed's own models: nothing is
averaged over seeds. Everything is chosen on validation items; the test items only say how good it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.training.sequences.counted_rows import Counted, count_rows
from shopfuse.training.sequences.fit import TrainingSettings
from shopfuse.training.sequences.fused_run import FusedRun, fuse_run
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
from shopfuse.training.sequences.workers import Piece, Workers


@dataclass(frozen=True, slots=True)
class Comparison:
    counted: Counted
    counted_ranks: dict[str, NDArray[np.int32]]  # [U] of the test targets
    models: tuple[ModelRun, ...]
    fused: tuple[FusedRun, ...]

    def ranks(self) -> dict[str, NDArray[np.int32]]:
        """Ranks of the test targets by row, [seeds, U]; counted rows have one seed."""
        found = {row: values[None] for row, values in self.counted_ranks.items()}
        for row in dict.fromkeys(run.wanted.row for run in self.models):
            found[row] = np.stack([run.ranks for run in self.runs(row)])
        return found | {"fused": np.stack([run.ranks for run in self.fused])}

    def runs(self, row: str) -> list[ModelRun]:
        return sorted((run for run in self.models if run.wanted.row == row), key=lambda run: run.wanted.seed)


def compare(
    data: Data, seeds: Sequence[int], training: TrainingSettings, workers: int, progress: Progress
) -> Comparison:
    """Trains, chooses on validation and ranks the test targets. `workers` processes share the work."""
    with Workers(workers, data, progress) as team:
        trials = [Piece(train_run, (wanted, training)) for wanted in first_choices(seeds[0])]
        (counted, counted_ranks), *tried = team.results([Piece(_count, ()), *trials])
        chosen = [best_of(row, tried) for row in ROWS]
        further = further_runs([run.wanted for run in chosen], seeds, data.attributes)
        models = [*chosen, *team.results([Piece(train_run, (wanted, training)) for wanted in further])]
        fused = team.results([Piece(fuse_run, (counted, _own(models, seed), seed)) for seed in seeds])
    return Comparison(counted, counted_ranks, tuple(models), tuple(fused))


def _own(models: Sequence[ModelRun], seed: int) -> list[ModelRun]:
    """What the fusion of a seed is made of: ours whole and in parts. SASRec stays what it is compared with."""
    return [run for run in models if run.wanted.seed == seed and run.wanted.row != "sasrec"]


def _count(data: Data, progress: Progress) -> tuple[Counted, dict[str, NDArray[np.int32]]]:
    counted = count_rows(data.split, progress)
    return counted, {row: ranks(scores, data.split.test) for row, scores in counted.rows().items()}
