"""`shopfuse evaluate demo`: every way to rank against the simulator's true relevance, over several seeds.

Each seed draws another shop and trains its models anew. Nothing is chosen on the truth. Rows and intervals are of all
seeds' cases together; the lead of the fused ranker is paired, case by case.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption
from shopfuse.cli.seeds import SeedsOption, parse_seeds
from shopfuse.core.progress import Progress
from shopfuse.evaluation.offline.demo_rankers import Row, ndcg_table
from shopfuse.evaluation.offline.demo_shops import (
    DaysOption,
    EncodedShop,
    ItemsOption,
    UsersOption,
    demo_shops,
)
from shopfuse.metrics.ndcg import bootstrap_interval
from shopfuse.training.trainers.build_models import build_models

SURFACES = ("search", "recommend")


@dataclass(frozen=True, slots=True)
class Pooled:
    """One row over all seeds: NDCG@10 of every case, and the mean of each seed."""

    values: NDArray[np.float64]
    seed_means: tuple[float, ...]

    def summary(self, fused: Pooled) -> dict[str, object]:
        low, high = bootstrap_interval(self.values)
        lead_low, lead_high = bootstrap_interval(fused.values - self.values)
        return {
            "ndcg@10": float(self.values.mean()),
            "low": low,
            "high": high,
            "seeds": list(self.seed_means),
            "fused_leads_by": float((fused.values - self.values).mean()),
            "lead_low": lead_low,
            "lead_high": lead_high,
        }


def rows_of(shop: EncodedShop, progress: Progress) -> list[Row]:
    """Trains the shop's models and ranks every case in every way."""
    encode = shop.encoding.encode
    models = build_models(shop.workspace, shop.vectors, encode, seed=shop.seed, fusion="attention", progress=progress)
    return ndcg_table(shop.workspace, models, shop.vectors, encode, progress=progress)


def pooled(tables: Sequence[Sequence[Row]], surface: str) -> dict[str, Pooled]:
    names = [row.name for row in tables[0]]
    result = {}
    for at, name in enumerate(names):
        parts = [getattr(table[at], surface) for table in tables]
        result[name] = Pooled(np.concatenate([part.values for part in parts]), tuple(part.mean for part in parts))
    return result


def report(summaries: dict[str, dict[str, dict[str, object]]], seconds: float, as_json: bool) -> None:
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
        tables = [rows_of(shop, progress) for shop in demo_shops(Path(folder), chosen, size, progress)]
    summaries = {}
    for surface in SURFACES:
        rows = pooled(tables, surface)
        summaries[surface] = {name: row.summary(rows["fused"]) for name, row in rows.items()}
    report(summaries, time.monotonic() - started, json)
