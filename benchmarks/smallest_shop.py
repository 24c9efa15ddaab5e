"""From how many events on a shop is served better by what was trained than by what learns nothing.

    python benchmarks/smallest_shop.py -w shop --events 300,1000,3000 --seeds 1,2,3 --split 14d

For each number and seed users of the shop are drawn until they have so many events, and are a shop of their own. It is
built twice, once trained and once with the untrained ranker that its newest visits choose, and both are asked through
the gateway and Triton for what the users did after the split (`evaluate recommend`). The bound that this decides is
MIN_ENGAGED in training/data/cut.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import polars as pl

from shopfuse.cli.evaluate.recommend import build_release
from shopfuse.core.progress import silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.served.replay import make_scratch
from shopfuse.evaluation.served.shop_replay import ReplayOptions, replay_shop
from shopfuse.training.trainers import build_models

WAYS = {"trained": True, "untrained": False}
BESIDE = ("popularity", "item_knn", "own_frequency")


def main() -> None:
    options = _options()
    shop = Workspace.open(Path(options.workspace))
    print(f"{'events':>7} {'seed':>4} {'users':>6}  " + "  ".join(f"{name:>13}" for name in (*WAYS, *BESIDE)))
    for count in _numbers(options.events):
        for seed in _numbers(options.seeds):
            rows, users = _measured(shop, count, seed, options.split)
            told = "  ".join(f"{rows[name]:13.3f}" for name in (*WAYS, *BESIDE))
            print(f"{count:7d} {seed:4d} {users:6d}  {told}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workspace", required=True, help="folder that holds the shop whose users are drawn")
    parser.add_argument("--events", default="300,1000,3000", help="sizes of the shops, separated by commas")
    parser.add_argument("--seeds", default="1,2,3", help="of who is drawn and of the builds")
    parser.add_argument("--split", default="14d", help="what is held out")
    return parser.parse_args()


def _numbers(text: str) -> Iterator[int]:
    return map(int, text.split(","))


def _measured(shop: Workspace, count: int, seed: int, split: str) -> tuple[dict[str, float], int]:
    """NDCG@10 of the two ways and of the rows beside, and how many users were asked."""
    reached: dict[str, float] = {}
    users = 0
    with tempfile.TemporaryDirectory(prefix="shopfuse-smallest-") as folder:
        small = make_scratch(shop, Path(folder) / "small", _drawn(shop.events().collect(), count, seed))
        for way, trains in WAYS.items():
            with mock.patch.object(build_models, "enough_to_train", lambda log, trains=trains: trains):
                document = replay_shop(
                    small, Path(folder) / way, ReplayOptions(split, seed, epochs=1), build_release, silent
                )
            rows, users = cast(dict[str, dict[str, Any]], document["rows"]), cast(int, document["users"])
            reached |= {name: rows[name]["ndcg@10"] for name in BESIDE} | {way: rows["served"]["ndcg@10"]}
    return reached, users


def _drawn(events: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """The events of users in random order, until there are so many."""
    known = events.filter(pl.col("user_id").is_not_null())
    sizes = known.group_by("user_id").len().sort("user_id")
    order = np.random.default_rng(seed).permutation(len(sizes))
    enough = int(np.searchsorted(np.cumsum(sizes["len"].to_numpy()[order]), count)) + 1
    chosen = sizes["user_id"].gather(order[:enough].tolist())
    return known.filter(pl.col("user_id").is_in(chosen.to_list()))


if __name__ == "__main__":
    main()
