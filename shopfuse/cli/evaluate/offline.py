"""`shopfuse evaluate demo|fusion`: ways to rank and to fuse over several seeds, in this process.

`demo` judges every way to rank by the simulator's true relevance; each seed draws another shop and trains its models
anew, and nothing is chosen on the truth. `fusion` compares all fusion methods, on simulated shops or on one's own.

Every method is trained on the older lists of impressions and judged on the newest fifth, on which nothing was chosen;
simulated shops also tell the true relevance. Leads are paired, against the method that validation would choose.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import DaysOption, ItemsOption, JsonOption, SeedsOption, UsersOption, parse_seeds
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.compare_fusions import MethodResult, compare_fusions
from shopfuse.evaluation.offline.demo_rankers import summaries_by_surface, trained_rows
from shopfuse.evaluation.offline.fusion_summary import Summary, summaries
from shopfuse.evaluation.offline.seed_shops import demo_shops, own_shops
from shopfuse.training.checkpoints.own_encoder import encoder_name
from shopfuse.training.fusion.task_logits import TRAINED_TASKS
from shopfuse_exporters.encoding.encoder import export_encoding

OwnOption = Annotated[
    Path | None, typer.Option("--workspace", "-w", help="Your own shop, instead of simulated ones.", show_default=False)
]
NDCGS = ("search", "recommend", "lists")


def demo(
    seeds: SeedsOption = "1,2,3",
    items: ItemsOption = 3000,
    users: UsersOption = 2500,
    days: DaysOption = 28,
    json: JsonOption = False,
) -> None:
    """The fused ranker on simulated shops whose true relevance is known, beside single modalities and baselines.

    shopfuse evaluate demo --seeds 1,2,3
    """
    chosen, size = parse_seeds(seeds), (items, users, days)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shopfuse-demo-") as folder, progress_bars() as progress:
        shops = demo_shops(Path(folder), export_encoding(Path(folder)), chosen, size, progress)
        tables = [trained_rows(shop, progress) for shop in shops]
    report_demo(summaries_by_surface(tables), time.monotonic() - started, json)


def fusion(
    workspace: OwnOption = None,
    seeds: SeedsOption = "1,2,3",
    items: ItemsOption = 3000,
    users: UsersOption = 2500,
    days: DaysOption = 28,
    json: JsonOption = False,
) -> None:
    """All fusion methods x tasks: NDCG, AUC and calibration error (ECE), with intervals and paired leads.

    NDCG@10 against the truth of simulated shops (search, recommend) and by the outcomes of held-out lists; AUC and ECE
    of each task on held-out impressions. --items, --users and --days belong to simulated shops.

    \b
    shopfuse evaluate fusion --seeds 1,2,3
    shopfuse evaluate fusion -w myshop --seeds 0
    """
    chosen = parse_seeds(seeds)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shopfuse-fusion-") as folder, progress_bars() as progress:
        if workspace is None:
            encoding = export_encoding(Path(folder))
            shops = demo_shops(Path(folder), encoding, chosen, (items, users, days), progress)
        else:
            own = Workspace.open(workspace)
            shops = own_shops(own, export_encoding(Path(folder), encoder_name(own)), chosen, progress)
        tables = [
            compare_fusions(shop.workspace, shop.vectors, shop.encoding.encode, seed=shop.seed, progress=progress)
            for shop in shops
        ]
    report_fusion(tables, chosen, time.monotonic() - started, json)


def report_fusion(tables: list[dict[str, MethodResult]], seeds: list[int], seconds: float, as_json: bool) -> None:
    reference, by_method = summaries(tables)
    if as_json:
        rows = {name: summary.document() for name, summary in by_method.items()}
        records = {str(seed): _records(table) for seed, table in zip(seeds, tables, strict=True)}
        print_json({"rows": rows, "reference": reference, "seeds": records, "seconds": seconds})
        return
    print_table("NDCG@10", ("method", *_known(by_method), "validation"), [_ndcg_row(*row) for row in by_method.items()])
    tasks = [f"{measure} {task}" for measure in ("AUC", "ECE") for task in TRAINED_TASKS]
    print_table("held-out impressions", ("method", *tasks), [_task_row(*row) for row in by_method.items()])
    columns = ("over", *_known(by_method), "AUC click")
    print_table(f"{reference} leads by (paired, 95 %)", columns, [_lead_row(*row) for row in by_method.items()])
    out.print(f"{reference}: the method that the validation lists choose; took {seconds:.0f} s")


def _known(by_method: dict[str, Summary]) -> list[str]:
    return [name for name in NDCGS if name in next(iter(by_method.values())).figures]


def _records(table: dict[str, MethodResult]) -> dict[str, Any]:
    """What each method says of its training."""
    return {name: {"tasks": result.tasks, **result.metrics} for name, result in table.items()}


def _ndcg_row(name: str, summary: Summary) -> list[str]:
    figures = [
        f"{part.mean:.3f} ({part.low:.3f}..{part.high:.3f})" for key in NDCGS if (part := summary.figures.get(key))
    ]
    return [name, *figures, f"{summary.validation_ndcg:.3f}"]


def _task_row(name: str, summary: Summary) -> list[str]:
    keys = [f"{measure}_{task}" for measure in ("auc", "ece") for task in TRAINED_TASKS]
    parts = [summary.figures[key] for key in keys]
    return [
        name,
        *("-" if np.isnan(part.mean) else f"{part.mean:.3f} ({part.low:.3f}..{part.high:.3f})" for part in parts),
    ]


def _lead_row(name: str, summary: Summary) -> list[str]:
    keys = [key for key in (*NDCGS, "auc_click") if key in summary.leads]
    return [
        name,
        *(f"{part.mean:+.3f} ({part.low:+.3f}..{part.high:+.3f})" for part in map(summary.leads.get, keys) if part),
    ]


def report_demo(summaries: dict[str, dict[str, dict[str, object]]], seconds: float, as_json: bool) -> None:
    if as_json:
        print_json({"rows": summaries, "seconds": seconds})
        return
    for surface, rows in summaries.items():
        table = [
            [
                name,
                f"{row['ndcg@10']:.3f}",
                f"{row['low']:.3f}..{row['high']:.3f}",
                " ".join(f"{mean:.3f}" for mean in row["seeds"]),  # type: ignore[attr-defined]
                f"{row['fused_leads_by']:+.3f}",
                f"{row['lead_low']:+.3f}..{row['lead_high']:+.3f}",
            ]
            for name, row in rows.items()
        ]
        columns = ("row", "NDCG@10", "95 %", "each seed", "fused leads by", "95 % of the lead")
        print_table(f"{surface}, against the truth", columns, table)
    out.print(f"took {seconds:.0f} s")
