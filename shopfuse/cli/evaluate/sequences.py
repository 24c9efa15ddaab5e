"""`shopfuse evaluate sequences`: a leave-one-out file as a shop that is built, served and asked for each last item.

Last item test, last but one validation, all items ranked, items already seen removed, ties against the target.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.evaluate.recommend import EpochsOption, KeepOption, WorkersOption, build_release, scratch_folder
from shopfuse.cli.options import JsonOption, SeedsOption, parse_seeds
from shopfuse.datasets.sequences import read_attributes, read_sequences
from shopfuse.evaluation.served.sequence_replay import SequencesReplay, replay_sequences
from shopfuse.training.sequences.measures import COLUMNS

FileArgument = Annotated[Path, typer.Argument(help="One user a line, `user item item ...`, oldest first.")]
AttributesOption = Annotated[Path | None, typer.Option(help='JSON, {"item": [attribute, ...]}.')]


def sequences(
    file: FileArgument,
    attributes: AttributesOption = None,
    seeds: SeedsOption = "1,2,3",
    epochs: EpochsOption = None,
    workers: WorkersOption = 0,
    keep: KeepOption = None,
    json: JsonOption = False,
) -> None:
    """Which item comes next: leave one out, all items ranked, the served recommender beside baselines.

    A shop is made of the file without each user's last item, built with every seed, served, and asked for every user.

    shopfuse evaluate sequences sequences.txt --attributes item_attributes.json
    """
    numbers = parse_seeds(seeds)
    read = read_sequences(file)
    known = read_attributes(attributes, read.items) if attributes else None
    asked = SequencesReplay(read, known, numbers, epochs, workers or len(os.sched_getaffinity(0)))
    with scratch_folder(keep) as folder, progress_bars() as progress:
        document = replay_sequences(asked, folder, build_release, progress)
    if json:
        print_json(document)
    else:
        print_report(document)


def print_report(document: Mapping[str, Any]) -> None:
    rows, data = document["rows"], document["data"]
    table = [
        [
            name,
            *(f"{row[column]:.4f}" for column in COLUMNS),
            f"{row['ndcg@10_low']:.4f}..{row['ndcg@10_high']:.4f}",
            " ".join(f"{seed['ndcg@10']:.4f}" for seed in row["seeds"]),
            f"{row['lead_low']:+.4f}..{row['lead_high']:+.4f}" if name != "served" else "",
        ]
        for name, row in rows.items()
    ]
    columns = ("row", *COLUMNS, "95 % of ndcg@10", "each seed", "served leads by, 95 %")
    print_table("next item, all items ranked", columns, table)
    targets = rows["served"]["targets"]
    parts = [[name, *(f"{row['targets'][part]['ndcg@10']:.4f}" for part in targets)] for name, row in rows.items()]
    counts = [f"{part} ({values['users']})" for part, values in targets.items()]
    print_table("ndcg@10 by training events of the target (users)", ("row", *counts), parts)
    for run in document["seeds"]:
        out.print(
            f"seed {run['seed']}: build {run['build_seconds']:.0f} s, asking {run['ask_seconds']:.0f} s, "
            f"{run['degraded']} answers degraded"
        )
    out.print(
        f"{data['users']} users, {data['items']} items; {data['users_left_out']} users with fewer than 3 items left "
        f"out, {data['unreachable_targets']} targets that their user already had; {document['seconds']:.0f} s"
    )
