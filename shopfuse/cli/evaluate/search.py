"""`shopfuse evaluate`: how good the served answers are, beside simple rows computed from the same release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.evaluate.cross_validation import validate_weights
from shopfuse.cli.evaluate.demo import demo
from shopfuse.cli.evaluate.fusion import fusion
from shopfuse.cli.evaluate.images import images
from shopfuse.cli.evaluate.report import report as whole_report
from shopfuse.cli.evaluate.report import without_command
from shopfuse.cli.evaluate.sequences import sequences
from shopfuse.cli.evaluate.texts import texts
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.progress import Progress
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.evaluation.judgments import Topic, load_topics
from shopfuse.evaluation.offline.release_rows import OfflineRows, Rankings, open_offline_rows
from shopfuse.evaluation.quality_rows import Scores, score_rankings
from shopfuse.local.client import Client, call, connect
from shopfuse.local.endpoints import Endpoints, NotServed, read_endpoints
from shopfuse.local.stack import StackOptions, local_stack, stable_release
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.v1 import item_pb2, recommendation_pb2, search_pb2

app = typer.Typer(no_args_is_help=True, help="Measure the quality of the served answers.", rich_markup_mode=None)
app.callback(invoke_without_command=True)(without_command)
app.command("report")(whole_report)
app.command()(demo)
app.command()(fusion)
app.command()(sequences)
app.command()(images)
app.command()(texts)

PAGE = 100
TIMEOUT_S = 10.0
SHOWN = ("ndcg@10", "ndcg@10_condensed", "recall@100", "mrr", "unjudged@10")

JudgmentsOption = Annotated[
    Path, typer.Option("--judgments", "-j", help="CSV or Parquet: query,item_id,grade[,user_id][,scene].")
]
CrossValidateOption = Annotated[
    int | None,
    typer.Option(min=2, metavar="K", help="Choose the channels' weights on K-1 of K parts of the queries, in turn."),
]
SaveOption = Annotated[
    bool, typer.Option("--save-weights", help="Keep the cross-validated weights for the next build.")
]
PerQueryOption = Annotated[bool, typer.Option("--per-query", help="Print NDCG@10 of every query as well.")]


@contextmanager
def served(workspace: Path, progress: Progress) -> Iterator[Endpoints]:
    """The running gateway of the workspace, or one started for the block."""
    try:
        running = read_endpoints(workspace)
    except NotServed:
        with local_stack(workspace, StackOptions(log_impressions=False), progress) as stack:
            yield stack.endpoints
    else:
        yield running


def all_pages(method: Any, request: Any) -> list[str]:
    """Every item id that the gateway ranks for a request, page by page."""
    ids: list[str] = []
    while True:
        response = call(method, request, TIMEOUT_S)
        ids += [item.item_id for item in response.items]
        if not response.next_page_token:
            return ids
        request.page_token = response.next_page_token


def search_served(client: Client, topic: Topic) -> list[str]:
    context = item_pb2.RequestContext(scene=topic.scene)
    request = search_pb2.SearchRequest(query=topic.query, user_id=topic.user_id, context=context, page_size=PAGE)
    return all_pages(client.searches.Search, request)


def recommend_served(client: Client, topic: Topic) -> list[str]:
    context = item_pb2.RequestContext(scene=topic.scene)
    request = recommendation_pb2.RecommendRequest(user_id=topic.user_id, context=context, page_size=PAGE)
    return all_pages(client.recommendations.Recommend, request)


Ask = Callable[[Client, Topic], list[str]]
Others = Callable[[OfflineRows, Sequence[Topic]], Rankings]


def measure(
    workspace: Path, topics: Sequence[Topic], ask: Ask, others: Others, progress: Progress
) -> tuple[str, dict[str, Scores]]:
    """(release id, scores by row): "served" through the gateway, and the rows computed beside it."""
    manifest = stable_release(workspace)
    rankings: Rankings = {"served": []}
    with served(workspace, progress) as endpoints, connect(endpoints.grpc) as client:
        for topic in topics:
            rankings["served"].append(ask(client, topic))
            progress("ask the gateway", len(rankings["served"]), len(topics))
    progress("rows beside it", 0, 1)
    with LmdbStore.open(WorkspacePaths(workspace).store) as store:
        rankings |= others(open_offline_rows(workspace, manifest, store), topics)
    progress("rows beside it", 1, 1)
    return manifest.release_id, {name: score_rankings(topics, found) for name, found in rankings.items()}


def report(title: str, release_id: str, topics: Sequence[Topic], scores: dict[str, Scores], as_json: bool) -> None:
    rows = {name: part.row() for name, part in scores.items()}
    unanswerable = sum(not topic.answerable for topic in topics)
    if as_json:
        print_json({"rows": rows, "release_id": release_id, "queries_without_relevant": unanswerable})
        return
    table = [
        [name, *(round(row[column], 4) for column in SHOWN), f"{row['ndcg@10_low']:.3f}..{row['ndcg@10_high']:.3f}"]
        for name, row in rows.items()
    ]
    print_table(f"{title}, release {release_id}", ("row", *SHOWN, "95 % of ndcg@10"), table)
    out.print(f"{len(topics) - unanswerable} measured, {unanswerable} without a relevant item left out")


def print_per_query(topics: Sequence[Topic], scores: dict[str, Scores]) -> None:
    answerable = [topic for topic in topics if topic.answerable]
    table = [
        [topic.query or topic.user_id, *(round(float(part.ndcg[at]), 3) for part in scores.values())]
        for at, topic in enumerate(answerable)
    ]
    print_table("NDCG@10 of each", ("asked", *scores), table)


@app.command()
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
        validate_weights(workspace, topics, judgments, cross_validate, save_weights, json)
        return
    if save_weights:
        raise typer.BadParameter("--save-weights keeps what --cross-validate chose: give both")
    with progress_bars() as progress:
        release_id, scores = measure(workspace, topics, search_served, OfflineRows.search_rows, progress)
    if per_query and not json:
        print_per_query(topics, scores)
    report("search", release_id, topics, scores, json)


@app.command()
def recommend(
    judgments: JudgmentsOption,
    workspace: WorkspaceOption,
    per_query: PerQueryOption = False,
    json: JsonOption = False,
) -> None:
    """Recommendations against judgments (user_id,item_id,grade): served, popularity, item-kNN and content alone.

    shopfuse evaluate recommend --judgments myshop/truth/recommend.parquet -w myshop
    """
    topics = load_topics(judgments, "user_id")
    with progress_bars() as progress:
        release_id, scores = measure(workspace, topics, recommend_served, OfflineRows.recommend_rows, progress)
    if per_query and not json:
        print_per_query(topics, scores)
    report("recommend", release_id, topics, scores, json)
