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
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption
from shopfuse.datasets.demo_shop import build_demo_shop
from shopfuse.datasets.shop_settings import ShopSettings
from shopfuse.datasets.workspace import Workspace
from shopfuse.exporters.real_inputs import text_inputs
from shopfuse.exporters.text_encoding import TextEncoding, open_tokenizer
from shopfuse.exporters.verified_model import export_verified
from shopfuse.ranking.metrics import bootstrap_interval
from shopfuse.ranking.progress import Progress
from shopfuse.ranking.tensors import submodels
from shopfuse.training.build_models import build_models
from shopfuse.training.catalogue import load_catalogue
from shopfuse.training.evaluate import Row, ndcg_table
from shopfuse.training.text_encoder import load_text_encoder

SURFACES = ("search", "recommend")
SAMPLE = ["red running shoes", "a lamp for reading", "waterproof jacket", "laptop"]

SeedsOption = Annotated[str, typer.Option(help="Seeds, separated by commas.")]
ItemsOption = Annotated[int, typer.Option(min=300, help="Products of each shop.")]
UsersOption = Annotated[int, typer.Option(min=100, help="Users of each shop.")]
DaysOption = Annotated[int, typer.Option(min=5, help="Days of events.")]


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


def open_encoding(scratch: Path) -> TextEncoding:
    """The embedded text encoder, exported and verified."""
    encoder = load_text_encoder("embedded")
    tokenizer = open_tokenizer(encoder.tokenizer_json, encoder.max_tokens)
    tokens = [encoding.ids for encoding in tokenizer.encode_batch_fast(SAMPLE)]
    declared = submodels(encoder.text_dim)["text_encoder"]
    verified = export_verified(declared, encoder.module, scratch, text_inputs(tokens))
    return TextEncoding(verified.open(), tokenizer)


def rows_of_seed(
    folder: Path, encoding: TextEncoding, seed: int, size: tuple[int, int, int], progress: Progress
) -> list[Row]:
    """Draws the shop of a seed, trains its models and ranks every case in every way."""
    items, users, days = size
    shop = Workspace.create(folder / f"seed-{seed}", ShopSettings(name=f"demo {seed}"))
    build_demo_shop(shop, items=items, users=users, days=days, seed=seed, progress=progress)
    texts = load_catalogue(shop.items().collect(), shop.images().select("item_id").collect()["item_id"]).texts()
    vectors = encoding.encode(texts, progress)
    models = build_models(shop, vectors, encoding.encode, seed=seed, fusion="attention", progress=progress)
    return ndcg_table(shop, models, vectors, encoding.encode, progress=progress)


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
    try:
        chosen = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--seeds {seeds!r}: expected numbers separated by commas") from None
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shopfuse-demo-") as folder, progress_bars() as progress:
        encoding = open_encoding(Path(folder))
        tables: list[list[Row]] = []
        for seed in chosen:
            progress("seeds", len(tables), len(chosen))
            tables.append(rows_of_seed(Path(folder), encoding, seed, (items, users, days), progress))
    summaries = {}
    for surface in SURFACES:
        rows = pooled(tables, surface)
        summaries[surface] = {name: row.summary(rows["fused"]) for name, row in rows.items()}
    report(summaries, time.monotonic() - started, json)
