"""From how many events on a shop is served better by what was trained than by what learns nothing.

    python benchmarks/smallest_shop.py --users 25,50,100,200 --seeds 1,2,3

For each number of users and each seed a demo shop is drawn, whose true relevance is known. Its models are made twice:
trained, and with the untrained ranker that its newest visits choose. Both are measured by NDCG@10 of searches and of
recommendations; leads are paired over cases. The bound that this decides is MIN_ENGAGED in training/data/cut.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.demo_rankers import ndcg_table
from shopfuse.inference.text_encoding import TextEncoding
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.trainers import build_models as trainer
from shopfuse_exporters.encoding.encoder import export_encoding

SURFACES = ("search", "recommend")
Values = dict[str, NDArray[np.float64]]  # NDCG@10 of each case, by surface


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="shopfuse-smallest-") as temporary:
        folder = Path(temporary)
        encoding = export_encoding(folder)
        for users in _numbers(options.users):
            runs = [_measured(folder, encoding, users, seed, options) for seed in _numbers(options.seeds)]
            events = np.mean([run[0] for run in runs])
            for surface in SURFACES:
                trained, untrained = (np.concatenate([run[way][surface] for run in runs]) for way in (1, 2))
                low, high = bootstrap_interval(trained - untrained)
                print(
                    f"{users:5d} users, {events:6.0f} events, {surface:>9}: NDCG@10 trained {trained.mean():.3f}, "
                    f"untrained {untrained.mean():.3f}, lead {low:+.3f}..{high:+.3f}",
                    flush=True,
                )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", default="25,50,100,200", help="sizes of the shops, separated by commas")
    parser.add_argument("--seeds", default="1,2,3", help="of the shops")
    parser.add_argument("--items", type=int, default=600, help="of each shop")
    parser.add_argument("--days", type=int, default=28, help="that each shop's log goes back")
    return parser.parse_args()


def _numbers(text: str) -> Iterator[int]:
    return map(int, text.split(","))


def _measured(
    folder: Path, encoding: TextEncoding, users: int, seed: int, options: argparse.Namespace
) -> tuple[int, Values, Values]:
    """How many events known users have, and what is reached trained and untrained."""
    shop = Workspace.create(folder / f"{users}-{seed}")
    build_demo_shop(shop, items=options.items, users=users, days=options.days, seed=seed, images=False)
    catalogue = load_catalogue(shop.items().collect(), pl.Series([], dtype=pl.String))
    engaged = load_event_log(shop.events(), catalogue).events.engaged
    vectors = encoding.encode(catalogue.texts())
    trained, untrained = (_reached(shop, vectors, encoding, seed, trains) for trains in (True, False))
    return int((engaged.user >= 0).sum()), trained, untrained


def _reached(shop: Workspace, vectors: NDArray[np.float32], encoding: TextEncoding, seed: int, trains: bool) -> Values:
    with mock.patch.object(trainer, "enough_to_train", lambda log: trains):
        models = trainer.build_models(shop, vectors, encoding.encode, seed=seed)
    (row,) = ndcg_table(shop, models, vectors, encoding.encode, ("fused",))
    return {surface: getattr(row, surface).values for surface in SURFACES}


if __name__ == "__main__":
    main()
