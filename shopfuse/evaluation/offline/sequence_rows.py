"""The rows beside the served one on a leave-one-out file: popularity, item-kNN, transitions and SASRec, and the table.

Last item test, last but one validation, all items ranked, items already seen removed, ties against the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.sequences import ItemAttributes, Sequences
from shopfuse.training.sequences.counted_rows import CountedSettings, count_rows
from shopfuse.training.sequences.fit import SequenceTraining
from shopfuse.training.sequences.measures import groups, row
from shopfuse.training.sequences.sasrec import TRIALS, SasRecTrial, best_trial, train_sasrec
from shopfuse.training.sequences.scoring import ranks
from shopfuse.training.sequences.split import Split
from shopfuse.training.sequences.workers import Piece

Ranks = NDArray[np.int32]  # [U] of the test targets


@dataclass(frozen=True, slots=True)
class CountedRanks:
    settings: CountedSettings
    ranks: dict[str, Ranks]


@dataclass(frozen=True, slots=True)
class TrainedRanks:
    """SASRec with one of the settings that are tried."""

    trial: SasRecTrial
    ranks: Ranks
    validation_ndcg: float
    epochs: int
    seconds: float


def pieces(training: SequenceTraining) -> list[Piece]:
    """The work behind the rows, for `Workers` over a Split; `table_rows` takes what they give."""
    return [Piece(_count, ()), *(Piece(_train, (trial, training)) for trial in TRIALS)]


def _count(split: Split, progress: Progress) -> CountedRanks:
    counted = count_rows(split, progress)
    return CountedRanks(counted.settings, {name: ranks(scores, split.test) for name, scores in counted.rows().items()})


def _train(split: Split, trial: SasRecTrial, training: SequenceTraining, progress: Progress) -> TrainedRanks:
    model = train_sasrec(split, trial, training, 1, progress)
    trained = model.trained
    return TrainedRanks(
        trial, ranks(model.scores, split.test), trained.validation_ndcg, trained.epochs, trained.seconds
    )


def described(sequences: Sequences, split: Split, attributes: ItemAttributes | None) -> dict[str, object]:
    """What was read, for the report."""
    return {
        "users": len(sequences.users),
        "items": len(sequences.items),
        "events": len(sequences.events),
        "users_left_out": sequences.left_out,
        "unreachable_targets": int(split.test.unreachable.sum()),
        "items_with_attributes": attributes.described if attributes else 0,
        "unknown_items_with_attributes": attributes.unknown_items if attributes else 0,
        "sha256": sequences.sha256,
    }


def table_rows(
    split: Split, served: NDArray[np.int32], counted: CountedRanks, trained: list[TrainedRanks]
) -> dict[str, dict[str, Any]]:
    """The table, `served` [seeds, U] first: figures of each row, and what the served one leads it by."""
    sasrec = trained[best_trial([run.validation_ndcg for run in trained])]
    members = groups(split.train_counts[split.test.targets])
    rows: dict[str, dict[str, Any]] = {
        name: row(own, served, members)
        for name, own in {"served": served, **{name: one[None] for name, one in counted.ranks.items()}}.items()
    }
    rows["sasrec"] = {
        **row(sasrec.ranks[None], served, members),
        "seconds_per_epoch": sasrec.seconds / max(1, sasrec.epochs),
        "epochs": sasrec.epochs,
        "validation_ndcg@10": sasrec.validation_ndcg,
    }
    return rows


def chosen(counted: CountedRanks, trained: list[TrainedRanks]) -> dict[str, object]:
    """What was chosen on validation."""
    sasrec = trained[best_trial([run.validation_ndcg for run in trained])]
    settings = counted.settings
    return {
        "neighbours": {"shrink": settings.shrink, "decay": settings.decay, "transitions": settings.weight},
        "sasrec": {"dropout": sasrec.trial.dropout, "learning_rate": sasrec.trial.learning_rate},
    }
