"""`shopfuse evaluate search|images`: how good the served answers are, beside simple rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.import_photos import ItemColumnOption, LabelsOption, OnlyOption, PhotoColumnOption, PhotosArgument
from shopfuse.cli.options import JsonOption, JudgmentsOption, WorkspaceOption
from shopfuse.datasets.importing.photo_source import read_labels
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import Topic, TopicScores, load_topics
from shopfuse.evaluation.offline.release_rows import OfflineRows, cross_validate_weights, keep_weights
from shopfuse.evaluation.offline.weight_search import WeightSearch
from shopfuse.evaluation.served.answers import score_served, search_answer
from shopfuse.evaluation.served.photos import load_photos, score_photos
from shopfuse.local.stack import stable_release

COLUMNS = ("ndcg@10", "ndcg@10_condensed", "recall@100", "mrr", "unjudged@10")

CrossValidateOption = Annotated[
    int | None,
    typer.Option(min=2, metavar="K", help="Choose the channels' weights on K-1 of K parts of the queries, in turn."),
]
SaveOption = Annotated[
    bool, typer.Option("--save-weights", help="Keep the cross-validated weights for the next build.")
]
PerQueryOption = Annotated[bool, typer.Option("--per-query", help="Print NDCG@10 of every query as well.")]


def search(
    judgments: JudgmentsOption,
    workspace: WorkspaceOption,
    per_query: PerQueryOption = False,
    cross_validate: CrossValidateOption = None,
    save_weights: SaveOption = False,
    json: JsonOption = False,
) -> None:
    """Search against judgments: the served answers beside BM25, embeddings alone and each score-level fusion.

    With --cross-validate: how good weights are that such judgments choose, measured on queries that did not choose.

    shopfuse evaluate search --judgments judgments.csv -w myshop
    """
    topics = load_topics(judgments, "query")
    if cross_validate is not None:
        choice = cross_validate_weights(workspace, topics, cross_validate)
        kept = keep_weights(workspace, choice, judgments) if save_weights else None
        report_weights(choice, kept, json)
        return
    if save_weights:
        raise typer.BadParameter("--save-weights keeps what --cross-validate chose: give both")
    with progress_bars() as progress:
        release_id, scores = score_served(workspace, topics, search_answer, OfflineRows.search_rows, progress)
    if per_query and not json:
        print_per_query(topics, scores)
    report("search", release_id, topics, scores, json)


def images(
    source: PhotosArgument,
    labels: LabelsOption,
    workspace: WorkspaceOption,
    photo_column: PhotoColumnOption = "photo",
    item_column: ItemColumnOption = "item_id",
    only: OnlyOption = "",
    json: JsonOption = False,
) -> None:
    """Photo to product through the gateway: top 1 and top 5 of the image, of words, and of both.

    shopfuse evaluate images photos.zip --labels photos.csv --only test/ -w myshop
    """
    shop = Workspace.open(workspace)
    release_id = stable_release(workspace).release_id
    photos = load_photos(source, read_labels(labels, photo_column, item_column, only), shop)
    with progress_bars() as progress:
        summaries = score_photos(photos, shop, progress)
    report_photos(summaries, release_id, json)


def report(title: str, release_id: str, topics: Sequence[Topic], scores: dict[str, TopicScores], as_json: bool) -> None:
    rows = {name: part.row() for name, part in scores.items()}
    unanswerable = sum(not topic.answerable for topic in topics)
    if as_json:
        print_json({"rows": rows, "release_id": release_id, "queries_without_relevant": unanswerable})
        return
    table = [
        [name, *(round(row[column], 4) for column in COLUMNS), f"{row['ndcg@10_low']:.3f}..{row['ndcg@10_high']:.3f}"]
        for name, row in rows.items()
    ]
    print_table(f"{title}, release {release_id}", ("row", *COLUMNS, "95 % of ndcg@10"), table)
    out.print(f"{len(topics) - unanswerable} measured, {unanswerable} without a relevant item left out")


def print_per_query(topics: Sequence[Topic], scores: dict[str, TopicScores]) -> None:
    answerable = [topic for topic in topics if topic.answerable]
    table = [
        [topic.query or topic.user_id, *(round(float(part.ndcg[at]), 3) for part in scores.values())]
        for at, topic in enumerate(answerable)
    ]
    print_table("NDCG@10 of each", ("asked", *scores), table)


def report_weights(search: WeightSearch, kept: Path | None, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(search), "held_out": search.held_out})
        return
    table = [
        [*_row(f"part {number}", fold.queries, fold.weights), *_both(fold.held_out), *_both(fold.in_use)]
        for number, fold in enumerate(search.folds, 1)
    ]
    queries = sum(fold.queries for fold in search.folds)
    table.append(["held out", queries, "", *_both(search.held_out), *_both(search.in_use)])
    table.append([*_row("chosen on all", queries, search.chosen), *_both(search.measured), *_both(search.in_use)])
    columns = ("queries left out", "n", "weights", "ndcg@10", "condensed", "in use", "in use, condensed")
    print_table("weights chosen on the other queries", columns, table)
    out.print("'chosen on all' was measured on the queries that chose it: the honest figure is 'held out'")
    if kept:
        out.print(f"kept in {kept}: the next build uses them")


def _row(name: str, queries: int, weights: Mapping[str, float]) -> list[Any]:
    return [name, queries, " ".join(f"{channel} {weight:g}" for channel, weight in weights.items() if weight)]


def _both(values: tuple[float, float]) -> list[float]:
    return [round(value, 4) for value in values]


def report_photos(summaries: dict[str, dict[str, float]], release_id: str, as_json: bool) -> None:
    if as_json:
        print_json({"rows": summaries, "release_id": release_id})
        return
    table = [
        [name, *(f"{row[k]:.3f} ({row[f'{k}_low']:.3f}..{row[f'{k}_high']:.3f})" for k in ("top1", "top5"))]
        for name, row in summaries.items()
    ]
    print_table(f"photo to product, release {release_id}", ("row", "top 1 (95 %)", "top 5 (95 %)"), table)
    out.print(f"{int(next(iter(summaries.values()))['photos'])} photos")
