"""`shopfuse bench`: what the gateway, a change of release, and each precision of the text encoder cost here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import load_topics, score_rankings
from shopfuse.loadtest.fleet import roll_fleet
from shopfuse.loadtest.gateway_cost import GatewayCost, gateway_cost
from shopfuse.loadtest.requests import rank_requests, search_requests
from shopfuse.loadtest.rollout import roll_releases
from shopfuse_exporters.encoder_comparison import catalogue_sample, compare_encoders
from shopfuse_exporters.precision.precisions import FULL, PRECISIONS

app = typer.Typer(no_args_is_help=True, help="Measure latency and throughput on this machine.", rich_markup_mode=None)

COST_COLUMNS = ("name", "requests_per_s", "p50_ms", "p99_ms", "errors")
ROLLOUT_COLUMNS = (
    *("name", "step_s", "requests", "errors", "mixed", "degraded"),
    *("unsteady_users", "p50_ms", "p99_ms", "answers"),
)
FLEET_COLUMNS = ("name", "take_s", *ROLLOUT_COLUMNS[1:])
PRECISION_COLUMNS = (
    *("name", "ms", "speed_up", "mb", "cosine_mean", "cosine_min"),
    *("overlap@10", "ndcg@10", "ndcg@10_loss"),
)

SecondsOption = Annotated[float, typer.Option(min=0.5, help="Measured seconds of each row, after one of warm-up.")]
CandidatesOption = Annotated[int, typer.Option(min=1, max=512, help="Candidates of each request.")]
ClientsOption = Annotated[int, typer.Option(min=2, help="Calls in flight in the throughput rows.")]
QueryOption = Annotated[str, typer.Option(help="Words that the candidates are ranked for; default: none.")]
RateOption = Annotated[float, typer.Option(min=1, help="Requests a second.")]
MinuteOption = Annotated[
    float, typer.Option(min=4, help="Seconds of load for each step; the step is taken after a third.")
]
FirstArgument = Annotated[str, typer.Argument(help="Release that is served at the beginning, such as r1.")]
SecondArgument = Annotated[str, typer.Argument(help="Release that is published, such as r2.")]
StoreArgument = Annotated[str, typer.Argument(help="An empty release store: s3://BUCKET/PREFIX or file:///PATH.")]
ReplicasOption = Annotated[int, typer.Option(min=1, help="Tritons, and as many gateways, that follow the store.")]
FleetSecondsOption = Annotated[float, typer.Option(min=1, help="Two thirds of them are load beside each step.")]
JudgmentsOption = Annotated[
    Path | None, typer.Option("--judgments", "-j", help="CSV or Parquet: query,item_id,grade. Default: no NDCG.")
]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--precision", help="Measure this one beside fp32; may be repeated. Default: all.")
]
EncodersOption = Annotated[
    list[Path] | None, typer.Option("--encoder", help="Measure this encoder too, as 'compress' made it; repeatable.")
]
ItemsOption = Annotated[int, typer.Option(min=100, help="Items to rank: those judged, and others spread evenly.")]


@app.command()
def rank(
    workspace: WorkspaceOption,
    candidates: CandidatesOption = 100,
    query: QueryOption = "",
    clients: ClientsOption = 8,
    seconds: SecondsOption = 5.0,
    json: JsonOption = False,
) -> None:
    """RankItems through the gateway, and the Triton calls behind it made directly, with 1 client and with several.

    All run on this machine and share its cores: on two of them the load generator, the gateway and Triton wait for
    each other, so compare rows of one run, not runs. Impressions are not logged.
    """
    requests = rank_requests(workspace, candidates, query)
    with progress_bars() as progress:
        cost = gateway_cost(workspace, requests, clients, seconds, progress)
    _report_cost("RankItems", cost, json)


@app.command()
def search(
    workspace: WorkspaceOption, clients: ClientsOption = 8, seconds: SecondsOption = 5.0, json: JsonOption = False
) -> None:
    """Search, first pages of 20, beside the Triton calls behind it made directly; the queries are encoded already.

    As in `bench rank`, all share this machine's cores. Impressions are not logged.
    """
    requests = search_requests(workspace)
    with progress_bars() as progress:
        cost = gateway_cost(workspace, requests, clients, seconds, progress)
    _report_cost("Search", cost, json)


@app.command()
def precisions(
    workspace: WorkspaceOption,
    judgments: JudgmentsOption = None,
    precision: OnlyOption = None,
    others: EncodersOption = None,
    items: ItemsOption = 20_000,
    json: JsonOption = False,
) -> None:
    """The text encoder in each precision: time of a query, size, and how search by meaning changes.

    Catalogue and queries are encoded by each precision anew, which takes a minute or two for 20,000 items. Needs no
    build. Times are of this machine's processor: int8 needs AVX-512 VNNI or the like. Other encoders, pruned or
    distilled ones, are measured in the same precisions with --encoder.

    shopfuse bench precisions -w myshop -j judgments.csv --encoder encoders/pruned
    """
    names = _known(precision or PRECISIONS)
    with progress_bars() as progress:
        shop, topics = Workspace.open(workspace), load_topics(judgments, "query") if judgments else []
        judged = {item_id for topic in topics for item_id in topic.grades}
        sample = catalogue_sample(shop, items, judged, [topic.query for topic in topics])
        ndcg = (lambda rankings: float(score_rankings(topics, rankings).ndcg.mean())) if topics else None
        rows = compare_encoders(shop, sample, names, others or [], ndcg, progress)
    _report_precisions(rows, len(sample.item_ids), len(sample.queries), json)


@app.command()
def release(
    workspace: WorkspaceOption,
    first: FirstArgument,
    second: SecondArgument,
    rate: RateOption = 50.0,
    seconds: MinuteOption = 60.0,
    json: JsonOption = False,
) -> None:
    """Publish, roll back, canary (5 % of users), promote, roll back again: two releases in turn, under steady load."""
    with progress_bars() as progress:
        rows = roll_releases(workspace, first, second, rate, seconds, progress)
    if json:
        print_json({"rows": rows})
    else:
        print_table(
            f"{rate:g} searches a second, {seconds:g} s a step", ROLLOUT_COLUMNS, [list(row.values()) for row in rows]
        )
        out.print("step_s: from the command to the last gateway's answer with the new pointer")


@app.command()
def fleet(
    workspace: WorkspaceOption,
    store: StoreArgument,
    first: FirstArgument,
    second: SecondArgument,
    replicas: ReplicasOption = 2,
    rate: RateOption = 20.0,
    seconds: FleetSecondsOption = 15.0,
    json: JsonOption = False,
) -> None:
    """The same through a release store, to Tritons and gateways with workspaces of their own, all on this machine.

    shopfuse bench fleet file:///tmp/store r1 r2 -w myshop
    """
    with progress_bars() as progress:
        rows = roll_fleet(
            workspace, store, (first, second), rate=rate, seconds=seconds, replicas=replicas, progress=progress
        )
    if json:
        print_json({"rows": rows})
        return
    print_table(
        f"{replicas} Tritons, {replicas} gateways, {rate:g} searches a second on each gateway",
        FLEET_COLUMNS,
        [[row[column] for column in FLEET_COLUMNS] for row in rows],
    )
    out.print(
        "take_s: the publisher's command; step_s: from its start to the last gateway's answer with the new pointer"
    )


def _report_cost(title: str, cost: GatewayCost, as_json: bool) -> None:
    summary = cost.summary()
    if as_json:
        print_json({"rows": cost.rows, **summary})
        return
    print_table(title, COST_COLUMNS, [[row[column] for column in COST_COLUMNS] for row in cost.rows])
    out.print(
        f"gateway adds {summary['gateway_added_p50_ms']:.2f} ms at the median; its throughput is "
        f"{summary['throughput_share_of_triton']:.2f} of Triton's own; {cost.calls_each:.1f} Triton calls a request"
    )
    out.print(f"a request takes {cost.cpu_ms:.2f} ms of processor time in the gateway")


def _known(names: Sequence[str]) -> list[str]:
    """fp32 first: the others are compared to it."""
    for name in names:
        if name not in PRECISIONS:
            raise ShopfuseError(f"--precision {name}: expected one of {', '.join(PRECISIONS)}")
    return [name for name in PRECISIONS if name == FULL or name in names]


def _report_precisions(rows: list[dict[str, object]], items: int, queries: int, as_json: bool) -> None:
    if as_json:
        print_json({"rows": rows, "items": items, "queries": queries})
        return
    columns = [column for column in PRECISION_COLUMNS if rows[0][column] is not None]
    print_table(
        "text encoder, one query with one thread",
        columns,
        [[_cell(column, row[column]) for column in columns] for row in rows],
    )
    out.print(f"{queries} queries over {items} items")


def _cell(column: str, value: object) -> object:
    """Cosines near 1 need more digits than the table gives numbers."""
    return f"{value:.5f}" if column.startswith("cosine") else value
