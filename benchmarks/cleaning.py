"""What machines in the event log cost, and what cleaning brings back, on the demo shop whose true relevance is known.

    python benchmarks/cleaning.py --items 600 --users 900 --days 14 --seeds 1,2

Each seed draws a shop and plants machines and repeated events in its log (demo_shop/behaviour/intruders.py); models are
trained on the planted log as it is, and on the same log cleaned. The truth is the shop's own in both.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl

from shopfuse.datasets.demo_shop.behaviour.intruders import with_intruders
from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.demo_rankers import RankerRow, ndcg_table
from shopfuse.inference.text_encoding import TextEncoding
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.training.data import event_log
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.data.cleaning import Cleaning, cleaning_lines
from shopfuse.training.trainers.build_models import build_models
from shopfuse_exporters.encoding.encoder import export_encoding

ROWS = ("fused", "popularity", "item_knn")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="shopfuse-cleaning-") as folder:
        encoding = export_encoding(Path(folder))
        seeds = [int(seed) for seed in options.seeds.split(",")]
        pairs = [_rows_of_seed(Path(folder), encoding, seed, options) for seed in seeds]
    for surface in ("search", "recommend"):
        for place, name in enumerate(ROWS):
            raw, cleaned = (
                np.concatenate([getattr(pair[way][place], surface).values for pair in pairs]) for way in (0, 1)
            )
            low, high = bootstrap_interval(cleaned - raw)
            gain = float((cleaned - raw).mean())
            print(
                f"{surface:>10} {name:>11}: NDCG@10 as logged {raw.mean():.3f}, cleaned {cleaned.mean():.3f}, "
                f"gain {gain:+.3f} [{low:+.3f}, {high:+.3f}]"
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("items", 600), ("users", 900), ("days", 14), ("machines", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--fusion", default="attention")
    return parser.parse_args()


def _rows_of_seed(
    folder: Path, encoding: TextEncoding, seed: int, options: argparse.Namespace
) -> tuple[list[RankerRow], list[RankerRow]]:
    """The rows of models trained on the planted log as it is, and on the cleaned one."""
    shop = Workspace.create(folder / f"seed-{seed}")
    build_demo_shop(shop, items=options.items, users=options.users, days=options.days, seed=seed, images=False)
    _plant(shop, options.machines, seed)
    catalogue = load_catalogue(shop.items().collect(), pl.Series([], dtype=pl.String))
    vectors = encoding.encode(catalogue.texts())
    tables = []
    for cleans in (False, True):
        with _cleaning(cleans):
            models = build_models(shop, vectors, encoding.encode, seed=seed, fusion=options.fusion)
            tables.append(ndcg_table(shop, models, vectors, encoding.encode, ROWS))
        for line in cleaning_lines(models.metrics["cleaning"]):
            print(f"seed {seed}: {line}", flush=True)
    return tables[0], tables[1]


def _plant(shop: Workspace, machines: int, seed: int) -> None:
    planted = with_intruders(shop.events().collect(), machines=machines, repeats=0.02, seed=seed)
    for path in shop.paths.event_days:
        path.unlink()
    for day, rows in planted.group_by(pl.col("timestamp").dt.date()):
        rows.sort("timestamp", "event_id").write_parquet(shop.paths.events_of(day[0]))


@contextmanager
def _cleaning(cleans: bool) -> Iterator[None]:
    if cleans:
        yield
        return
    with mock.patch.object(event_log, "clean_events", lambda events: (events, Cleaning(len(events)))):
        yield


if __name__ == "__main__":
    main()
