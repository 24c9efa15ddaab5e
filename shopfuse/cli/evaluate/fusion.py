"""`shopfuse evaluate fusion`: all fusion methods beside each other, on simulated shops or on one's own.

Every method is trained on the older lists of impressions and judged on the newest fifth, on which nothing was chosen;
simulated shops also tell the true relevance. Leads are paired, against the method that validation would choose.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption
from shopfuse.cli.seeds import SeedsOption, parse_seeds
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.compare_fusions import MethodResult, compare_fusions
from shopfuse.evaluation.offline.demo_shops import (
    DaysOption,
    EncodedShop,
    ItemsOption,
    UsersOption,
    demo_shops,
    encoded,
    open_encoding,
)
from shopfuse.evaluation.offline.fusion_summary import Summary, summaries
from shopfuse.training.fusion.task_logits import TRAINED_TASKS

OwnOption = Annotated[
    Path | None, typer.Option("--workspace", "-w", help="Your own shop, instead of simulated ones.", show_default=False)
]
NDCGS = ("search", "recommend", "lists")


def compared(shop: EncodedShop, progress: Progress) -> dict[str, MethodResult]:
    return compare_fusions(shop.workspace, shop.vectors, shop.encoding.encode, seed=shop.seed, progress=progress)


def own_shop(workspace: Path, seeds: Sequence[int], progress: Progress) -> list[dict[str, MethodResult]]:
    """The same shop for every seed: they draw the weights that training starts from."""
    shop = Workspace.open(workspace)
    with tempfile.TemporaryDirectory(prefix="shopfuse-encoder-") as scratch:
        encoding = open_encoding(Path(scratch), shop.settings.text_encoder)
        first = encoded(shop, encoding, seeds[0], progress)
        return [compared(EncodedShop(seed, shop, first.vectors, encoding), progress) for seed in seeds]


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

    \\b
    shopfuse evaluate fusion --seeds 1,2,3
    shopfuse evaluate fusion -w myshop --seeds 0
    """
    chosen = parse_seeds(seeds)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shopfuse-fusion-") as folder, progress_bars() as progress:
        if workspace is None:
            shops = demo_shops(Path(folder), chosen, (items, users, days), progress)
            tables = [compared(shop, progress) for shop in shops]
        else:
            tables = own_shop(workspace, chosen, progress)
    report(tables, chosen, time.monotonic() - started, json)


def report(tables: list[dict[str, MethodResult]], seeds: list[int], seconds: float, as_json: bool) -> None:
    reference, found = summaries(tables)
    if as_json:
        rows = {name: summary.document() for name, summary in found.items()}
        records = {str(seed): _records(table) for seed, table in zip(seeds, tables, strict=True)}
        print_json({"rows": rows, "reference": reference, "seeds": records, "seconds": seconds})
        return
    print_table("NDCG@10", ("method", *_known(found), "validation"), [_ndcg_row(*row) for row in found.items()])
    tasks = [f"{measure} {task}" for measure in ("AUC", "ECE") for task in TRAINED_TASKS]
    print_table("held-out impressions", ("method", *tasks), [_task_row(*row) for row in found.items()])
    columns = ("over", *_known(found), "AUC click")
    print_table(f"{reference} leads by (paired, 95 %)", columns, [_lead_row(*row) for row in found.items()])
    out.print(f"{reference}: the method that the validation lists choose; took {seconds:.0f} s")


def _known(found: dict[str, Summary]) -> list[str]:
    return [name for name in NDCGS if name in next(iter(found.values())).figures]


def _records(table: dict[str, MethodResult]) -> dict[str, Any]:
    """What each method says of its training."""
    return {name: {"tasks": result.tasks, **result.metrics} for name, result in table.items()}


def _ndcg_row(name: str, summary: Summary) -> list[str]:
    shown = [
        f"{part.mean:.3f} ({part.low:.3f}..{part.high:.3f})" for key in NDCGS if (part := summary.figures.get(key))
    ]
    return [name, *shown, f"{summary.validation_ndcg:.3f}"]


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
