"""The table of a comparison of sequence models: every row beside the fused one, what was read, what was chosen."""

from __future__ import annotations

from typing import Any

from shopfuse.datasets.sequences import ItemAttributes, Sequences
from shopfuse.training.sequences.comparison import Comparison
from shopfuse.training.sequences.measures import groups, row
from shopfuse.training.sequences.split import Split

ROW_ORDER = (
    *("popularity", "item_knn", "item_knn_transitions", "sasrec"),
    *("ours_without_attributes", "ours_without_id", "ours", "fused"),
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


def table_rows(split: Split, comparison: Comparison) -> dict[str, dict[str, Any]]:
    """The table, best known first: figures of each row beside the fused one, and what it cost."""
    ranks = comparison.ranks()
    if "ours_without_attributes" not in ranks:  # no attributes: there was nothing to leave out
        ranks["ours_without_attributes"] = ranks["ours"]
    members = groups(split.train_counts[split.test.targets])
    rows: dict[str, dict[str, Any]] = {
        name: row(ranks[name], ranks["fused"], members) for name in ROW_ORDER if name in ranks
    }
    for name in rows:
        if runs := comparison.runs(name):
            rows[name]["seconds_per_epoch"] = sum(run.seconds for run in runs) / sum(run.epochs for run in runs)
            rows[name]["epochs"] = [run.epochs for run in runs]
            rows[name]["validation_ndcg@10"] = [run.validation_ndcg for run in runs]
    return rows


def chosen(comparison: Comparison) -> dict[str, object]:
    """What was chosen on validation."""
    counted = comparison.counted.settings
    return {
        "neighbours": {"shrink": counted.shrink, "decay": counted.decay, "transitions": counted.weight},
        "dropout": {run.wanted.row: run.wanted.settings.dropout for run in comparison.models},
        "learning_rate": {run.wanted.row: run.wanted.learning_rate for run in comparison.models},
        "fusion": [
            {
                "seed": run.seed,
                "kind": run.kind,
                "channels": list(run.channels),
                "validation_ndcg@10": run.validation_ndcg,
                "targets_among_candidates": run.reached,
                "seconds": run.seconds,
            }
            for run in comparison.fused
        ],
    }
