"""`shopfuse evaluate recommend`: recommendations against judgments, or against what the shop's own users did next."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from shopfuse.cli.build import build_and_publish
from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.evaluate.served import PerQueryOption, print_per_query, report
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import load_topics
from shopfuse.evaluation.offline.release_rows import OfflineRows
from shopfuse.evaluation.served.answers import recommend_answer, score_served
from shopfuse.evaluation.served.shop_replay import ReplayOptions, replay_shop
from shopfuse.release.manifest import Manifest
from shopfuse_exporters.build import BuildOptions

MEASURES = ("ndcg@10", "hr@10", "recall@20", "recall@100", "mrr", "coverage@10", "ndcg@10_repeated", "ndcg@10_new")

JudgmentsOption = Annotated[
    Path | None, typer.Option("--judgments", "-j", help="CSV or Parquet: user_id,item_id,grade[,scene].")
]
SplitOption = Annotated[
    str | None, typer.Option("--split", metavar="N(d|h)", help="Hold out the newest N days or hours: 14d, 36h.")
]
LeaveOneOutOption = Annotated[bool, typer.Option("--leave-one-out", help="Hold out each user's newest event.")]
UsersOption = Annotated[int | None, typer.Option(min=1, help="Ask so many users, drawn at random. Default: all.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the build, and of the users that are drawn.")]
EpochsOption = Annotated[int | None, typer.Option(min=1, max=500, help="Epochs of SASRec, at most.")]
WorkersOption = Annotated[int, typer.Option(min=0, max=64, help="Processes for the rows beside; 0: one for each core.")]
KeepOption = Annotated[
    Path | None, typer.Option("--keep", metavar="DIR", help="Keep the workspace that is built and asked here.")
]


def recommend(
    workspace: WorkspaceOption,
    judgments: JudgmentsOption = None,
    split: SplitOption = None,
    leave_one_out: LeaveOneOutOption = False,
    seed: SeedOption = 0,
    users: UsersOption = None,
    epochs: EpochsOption = None,
    workers: WorkersOption = 0,
    keep: KeepOption = None,
    per_query: PerQueryOption = False,
    json: JsonOption = False,
) -> None:
    """Recommendations, served and beside simple rows: against judgments, or against what the shop's users did next.

    With --split or --leave-one-out a release is built from the events before, served and asked for each user who did
    something after, at that moment; the workspace itself stays as it is.

    \b
    shopfuse evaluate recommend --split 14d -w myshop
    shopfuse evaluate recommend --leave-one-out -w myshop
    shopfuse evaluate recommend --judgments judgments.csv -w myshop
    """
    if (judgments is not None) + (split is not None) + leave_one_out != 1:
        raise typer.BadParameter("give one of --judgments FILE, --split 14d and --leave-one-out")
    if judgments is not None:
        _judged(judgments, workspace, per_query, json)
        return
    options = ReplayOptions(split or "", seed, users, epochs, workers or len(os.sched_getaffinity(0)))
    shop = Workspace.open(workspace)
    with scratch_folder(keep) as folder, progress_bars() as progress:
        document = replay_shop(shop, folder, options, build_release, progress)
    if json:
        print_json(document)
    else:
        print_replay(document)


@contextmanager
def scratch_folder(keep: Path | None) -> Iterator[Path]:
    """Where a workspace may be made: `keep`, or a folder that is gone afterwards."""
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="shopfuse-replay-") as folder:
        yield Path(folder)


def build_release(shop: Workspace, seed: int, progress: Progress) -> Manifest:
    return build_and_publish(shop, BuildOptions(seed=seed), progress)


def _judged(judgments: Path, workspace: Path, per_query: bool, as_json: bool) -> None:
    topics = load_topics(judgments, "user_id")
    with progress_bars() as progress:
        release_id, scores = score_served(workspace, topics, recommend_answer, OfflineRows.recommend_rows, progress)
    if per_query and not as_json:
        print_per_query(topics, scores)
    report("recommend", release_id, topics, scores, as_json)


def print_replay(document: Mapping[str, Any]) -> None:
    rows, split = document["rows"], document["split"]
    table = [
        [
            name,
            *(_told(row[measure]) for measure in MEASURES),
            f"{row['ndcg@10_low']:.4f}..{row['ndcg@10_high']:.4f}",
            f"{row['lead_low']:+.4f}..{row['lead_high']:+.4f}" if "lead_low" in row else "",
        ]
        for name, row in rows.items()
    ]
    columns = ("row", *MEASURES, "95 % of ndcg@10", "served leads by, 95 %")
    print_table(f"what users did next ({split['name']}), release {document['release_id']}", columns, table)
    groups = next(iter(rows.values()))["users_by_events"]
    parts = [
        [name, *(_told(row["users_by_events"][group]["ndcg@10"]) for group in groups)] for name, row in rows.items()
    ]
    counts = [f"{group} ({part['users']})" for group, part in groups.items()]
    print_table("ndcg@10 by events before (users)", ("row", *counts), parts)
    out.print(
        f"{document['users']} users asked; {split['events_before']} events before, {split['events_held_out']} held out"
        f"; build {document['build_seconds']:.0f} s, asking {document['ask_seconds']:.0f} s, "
        f"all {document['seconds']:.0f} s; {document['degraded']} answers degraded"
    )


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
