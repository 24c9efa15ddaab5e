"""Trains towers, ranker and SASRec on the GPU and on the CPU, and compares seconds an epoch and what was learned.

    python benchmarks/gpu_training.py --items 3000 --users 4000 --days 28
    python benchmarks/gpu_training.py --items 200 --users 300 --days 8 --tests ''    # small, where no GPU is at hand

A GPU trains in bfloat16 as a build would, and in float32 to see what that costs in quality. Then it runs the tests of
training there, and names those that fail. Towers and ranker learn from a demo shop whose texts are bags of random
words, SASRec from walks over the items: the times are meant, the qualities only beside each other. The first seconds on
a GPU go into its start, so that it is warmed up before.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.sequences import Sequences
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.sequences.fit import SequenceTraining, train_model
from shopfuse.training.sequences.model import ModelSettings
from shopfuse.training.sequences.split import Split, leave_one_out
from shopfuse.training.trainers.build_models import build_models

TEXT_DIM, LONGEST = 64, 30
GPU = "GPU, bfloat16"


@dataclass
class Stages:
    """A progress that notes when each stage began and ended."""

    spans: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.perf_counter()
        self.spans[stage] = (self.spans.get(stage, (now, now))[0], now)

    def seconds(self, stage: str) -> float:
        began, ended = self.spans.get(stage, (0.0, 0.0))
        return ended - began


@contextmanager
def on(way: str) -> Iterator[None]:
    """Trains in one of three ways: "CPU", GPU, or "GPU, float32"."""
    autocast = torch.autocast

    def in_float32(device: str, **_: object) -> torch.autocast:
        return autocast(device, enabled=False)

    if way == "CPU":
        with mock.patch.object(torch.cuda, "is_available", lambda: False):
            yield
    elif way == GPU:
        yield
    else:
        with mock.patch.object(torch, "autocast", in_float32):
            yield


def encode_words(texts: list[str]) -> NDArray[np.float32]:
    """A stand-in for a text encoder: each word a random direction."""
    vectors = np.zeros((len(texts), TEXT_DIM), np.float32)
    for row, text in enumerate(texts):
        for word in text.casefold().split():
            vectors[row] += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(TEXT_DIM)
    unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit.astype(np.float32)


def walks(users: int, items: int) -> Split:
    """Histories in which each item is mostly followed by the next one."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, LONGEST, users)
    steps = np.where(rng.random(lengths.sum()) < 0.8, 1, rng.integers(1, items, lengths.sum()))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    events = (np.cumsum(steps) % items).astype(np.int32)
    names = tuple(map(str, range(users))), tuple(map(str, range(items)))
    return leave_one_out(Sequences(*names, events, starts, 0, ""))


def shop_row(workspace: Workspace, vectors: NDArray[np.float32]) -> dict[str, str]:
    stages = Stages()
    metrics: dict[str, Any] = build_models(
        workspace, vectors, encode_words, seed=0, fusion="attention", progress=stages
    ).metrics
    cells: dict[str, str] = {}
    for name, prefix, stage in (("towers", "tower", "train towers"), ("ranker", "attention", "train attention")):
        if f"{prefix}_epochs" not in metrics:  # too small a shop for it
            cells |= {f"{name}, s an epoch": "-", f"{name}, validation": "-"}
            continue
        cells[f"{name}, s an epoch"] = f"{stages.seconds(stage) / metrics[f'{prefix}_epochs']:.2f}"
        cells[f"{name}, validation"] = f"{metrics.get(f'{prefix}_validation_loss', np.nan):.4f}"
    return cells


def sasrec_row(split: Split, epochs: int) -> dict[str, str]:
    training = SequenceTraining(epochs=epochs, least_steps=0, patience=1.0)
    trained = train_model(split, ModelSettings(), training, seed=0, stage="sasrec")
    seconds = trained.seconds / trained.epochs
    return {"SASRec, s an epoch": f"{seconds:.2f}", "SASRec, NDCG@10": f"{trained.validation_ndcg:.4f}"}


def failed_tests(folder: str) -> Iterator[str]:
    """The summary of pytest over a folder of tests, its failures first."""
    command = [sys.executable, "-m", "pytest", folder, "-q", "-rf", "--tb=no", "-p", "no:cacheprovider"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    yield from (line for line in lines if line.startswith("FAILED"))
    yield lines[-1] if lines else "pytest said nothing"


def main() -> None:
    options = _options()
    ways = ["CPU", GPU, "GPU, float32"] if torch.cuda.is_available() else ["CPU"]
    print(torch.cuda.get_device_name() if len(ways) > 1 else "no GPU at hand", flush=True)
    print(f"{options.items} items, {options.users} users, {options.days} days, {torch.get_num_threads()} CPU threads")
    with tempfile.TemporaryDirectory(prefix="shopfuse-gpu-") as folder:
        workspace = Workspace.create(Path(folder) / "shop")
        build_demo_shop(workspace, items=options.items, users=options.users, days=options.days, seed=0, images=False)
        vectors = encode_words(load_catalogue(workspace.items().collect()).texts())
        split = walks(options.users, options.items)
        for way in ways:
            with on(way):
                if way == GPU:
                    torch.ones(1, device="cuda").exp().item()
                row = shop_row(workspace, vectors) | sasrec_row(split, options.epochs)
            print(f"{way}: " + "; ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    if len(ways) > 1 and options.tests:
        print(*failed_tests(options.tests), sep="\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=3000)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--epochs", type=int, default=5, help="Of SASRec; the others stop by themselves.")
    parser.add_argument("--tests", default="tests/training", help="Run where there is a GPU; '' for none.")
    return parser.parse_args()


if __name__ == "__main__":
    main()
