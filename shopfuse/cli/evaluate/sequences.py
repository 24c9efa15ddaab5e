"""`shopfuse evaluate sequences`: the sequence models and their fusion on a leave-one-out file, beside hard baselines.

Last item test, last but one validation, all items ranked, items already seen removed, ties against the target.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption
from shopfuse.cli.seeds import SeedsOption, parse_seeds
from shopfuse.datasets.sequences import ItemAttributes, Sequences, read_attributes, read_sequences
from shopfuse.training.sequences.comparison import Comparison, compare
from shopfuse.training.sequences.fit import TrainingSettings
from shopfuse.training.sequences.measures import groups, row
from shopfuse.training.sequences.model_runs import Data
from shopfuse.training.sequences.split import Split, leave_one_out

SHOWN = ("hr@5", "ndcg@5", "hr@10", "ndcg@10", "hr@20", "ndcg@20")
ROW_ORDER = (
    *("popularity", "item_knn", "item_knn_transitions", "sasrec"),
    *("ours_without_attributes", "ours_without_id", "ours", "fused"),
)

FileArgument = Annotated[Path, typer.Argument(help="One user a line, `user item item ...`, oldest first.")]
AttributesOption = Annotated[Path | None, typer.Option(help='JSON, {"item": [attribute, ...]}.')]
EpochsOption = Annotated[int | None, typer.Option(min=1, max=500, help="Epochs of a model, at most.")]
WorkersOption = Annotated[int, typer.Option(min=0, max=64, help="Processes that train; 0: one for each core.")]


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


def print_report(rows: dict[str, dict[str, Any]], data: dict[str, object], seconds: float) -> None:
    table = [
        [
            name,
            *(f"{found[column]:.4f}" for column in SHOWN),
            f"{found['ndcg@10_low']:.4f}..{found['ndcg@10_high']:.4f}",
            " ".join(f"{seed['ndcg@10']:.4f}" for seed in found["seeds"]),
            f"{found['lead_low']:+.4f}..{found['lead_high']:+.4f}" if name != "fused" else "",
            f"{found['seconds_per_epoch']:.1f}" if "seconds_per_epoch" in found else "",
        ]
        for name, found in rows.items()
    ]
    columns = ("row", *SHOWN, "95 % of ndcg@10", "each seed", "fused leads by, 95 %", "s/epoch")
    print_table("next item, all items ranked", columns, table)
    names = list(next(iter(rows.values()))["targets"])
    parts = [[name, *(f"{found['targets'][part]['ndcg@10']:.4f}" for part in names)] for name, found in rows.items()]
    counts = [f"{part} ({next(iter(rows.values()))['targets'][part]['users']})" for part in names]
    print_table("ndcg@10 by training events of the target (users)", ("row", *counts), parts)
    out.print(
        f"{data['users']} users, {data['items']} items; {data['users_left_out']} users with fewer than 3 items left "
        f"out, {data['unreachable_targets']} targets that their user already had; {seconds:.0f} s"
    )


def sequences(
    file: FileArgument,
    attributes: AttributesOption = None,
    seeds: SeedsOption = "1,2,3",
    epochs: EpochsOption = None,
    workers: WorkersOption = 0,
    json: JsonOption = False,
) -> None:
    """Which item comes next: leave one out, all items ranked, sequence models and their fusion beside baselines.

    shopfuse evaluate sequences sequences.txt --attributes item_attributes.json
    """
    numbers: Sequence[int] = parse_seeds(seeds)
    started = time.monotonic()
    read = read_sequences(file)
    known = read_attributes(attributes, read.items) if attributes else None
    split = leave_one_out(read)
    training = TrainingSettings() if epochs is None else TrainingSettings(epochs=epochs, least_steps=0)
    processes = workers or len(os.sched_getaffinity(0))
    with progress_bars() as progress:
        comparison = compare(Data(split, known), numbers, training, processes, progress)
        progress("measure", 0, 1)
        rows = table_rows(split, comparison)
        progress("measure", 1, 1)
    data, seconds = described(read, split, known), time.monotonic() - started
    if json:
        print_json({"rows": rows, "data": data, "chosen": chosen(comparison), "seeds": numbers, "seconds": seconds})
    else:
        print_report(rows, data, seconds)
