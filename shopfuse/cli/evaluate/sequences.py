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
from shopfuse.cli.options import JsonOption, SeedsOption, parse_seeds
from shopfuse.datasets.sequences import read_attributes, read_sequences
from shopfuse.evaluation.offline.sequence_rows import chosen, described, table_rows
from shopfuse.training.sequences.comparison import compare
from shopfuse.training.sequences.fit import SequenceTraining
from shopfuse.training.sequences.model_runs import Data
from shopfuse.training.sequences.split import leave_one_out

COLUMNS = ("hr@5", "ndcg@5", "hr@10", "ndcg@10", "hr@20", "ndcg@20")

FileArgument = Annotated[Path, typer.Argument(help="One user a line, `user item item ...`, oldest first.")]
AttributesOption = Annotated[Path | None, typer.Option(help='JSON, {"item": [attribute, ...]}.')]
EpochsOption = Annotated[int | None, typer.Option(min=1, max=500, help="Epochs of a model, at most.")]
WorkersOption = Annotated[int, typer.Option(min=0, max=64, help="Processes that train; 0: one for each core.")]


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
    training = SequenceTraining() if epochs is None else SequenceTraining(epochs=epochs, least_steps=0)
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


def print_report(rows: dict[str, dict[str, Any]], data: dict[str, object], seconds: float) -> None:
    table = [
        [
            name,
            *(f"{row[column]:.4f}" for column in COLUMNS),
            f"{row['ndcg@10_low']:.4f}..{row['ndcg@10_high']:.4f}",
            " ".join(f"{seed['ndcg@10']:.4f}" for seed in row["seeds"]),
            f"{row['lead_low']:+.4f}..{row['lead_high']:+.4f}" if name != "fused" else "",
            f"{row['seconds_per_epoch']:.1f}" if "seconds_per_epoch" in row else "",
        ]
        for name, row in rows.items()
    ]
    columns = ("row", *COLUMNS, "95 % of ndcg@10", "each seed", "fused leads by, 95 %", "s/epoch")
    print_table("next item, all items ranked", columns, table)
    names = list(next(iter(rows.values()))["targets"])
    parts = [[name, *(f"{row['targets'][part]['ndcg@10']:.4f}" for part in names)] for name, row in rows.items()]
    counts = [f"{part} ({next(iter(rows.values()))['targets'][part]['users']})" for part in names]
    print_table("ndcg@10 by training events of the target (users)", ("row", *counts), parts)
    out.print(
        f"{data['users']} users, {data['items']} items; {data['users_left_out']} users with fewer than 3 items left "
        f"out, {data['unreachable_targets']} targets that their user already had; {seconds:.0f} s"
    )
