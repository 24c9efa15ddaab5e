"""`evaluate recommend` on a shop's own events: the served answers beside every row that knows the same past."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.channel_rows import channel_rows
from shopfuse.evaluation.offline.holdout import DividedEvents, Holdout, leave_newest_out, split_by_time
from shopfuse.evaluation.offline.past import KEPT, Past, pieces, read_past, rows_of
from shopfuse.evaluation.offline.user_measures import measure, outcome, table
from shopfuse.evaluation.served.replay import ServedAnswers, ask_served, make_scratch
from shopfuse.local.requests import EVERYTHING, recommend_request
from shopfuse.release.manifest import Manifest
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.sequences.sasrec import sasrec_training
from shopfuse.training.sequences.workers import Workers
from shopfuse.v1.recommendation_pb2 import RecommendRequest

Build = Callable[[Workspace, int, Progress], Manifest]  # builds and publishes with a seed
CHANNEL_PREFIX = "channel_"


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    split: str = ""  # such as "14d"; "" leaves each user's newest event out
    seed: int = 0  # of the build, and of who is asked
    users: int | None = None  # asked at most; None: all
    epochs: int | None = None  # of SASRec, at most
    workers: int = 1  # processes for the rows that need no release


@dataclass(frozen=True, slots=True)
class _Timed:
    manifest: Manifest
    answers: ServedAnswers
    build_s: float
    ask_s: float


def replay_shop(
    shop: Workspace, folder: Path, options: ReplayOptions, build: Build, progress: Progress
) -> dict[str, object]:
    """What `--json` prints. The scratch workspace is made in `folder`, new or empty.

    Raises HoldoutError where the events cannot be divided, and what building and serving raise.
    """
    started = time.monotonic()
    catalogue = load_catalogue(shop.items().collect())
    divided = divide(shop, catalogue, options.split)
    holdout = _drawn(divided.holdout, options)
    scratch = make_scratch(shop, folder, divided.known)
    past = read_past(scratch.events(), catalogue, holdout)
    with Workers(options.workers, past, progress) as pool:
        counting = pool.start(pieces(sasrec_training(options.epochs)))
        timed = _served(scratch, holdout, options.seed, build, progress)
        channels = channel_rows(scratch.root, timed.manifest, holdout, progress)
        rows = {"served": timed.answers.rankings, **rows_of(pool.finish(counting))}
    rows |= {CHANNEL_PREFIX + name: ranking for name, ranking in channels.items()}
    return {
        "rows": scored(rows, holdout, past),
        "release_id": timed.manifest.release_id,
        "fusion": timed.manifest.fusion,
        "users": len(holdout),
        "split": described(divided),
        "degraded": timed.answers.degraded,
        "seed": options.seed,
        "build_seconds": timed.build_s,
        "ask_seconds": timed.ask_s,
        "seconds": time.monotonic() - started,
    }


def divide(shop: Workspace, catalogue: Catalogue, split: str) -> DividedEvents:
    return split_by_time(shop.events(), catalogue, split) if split else leave_newest_out(shop.events(), catalogue)


def described(divided: DividedEvents) -> dict[str, object]:
    return {
        "name": divided.name,
        "at": divided.split_at,
        "events_before": len(divided.known),
        "events_held_out": divided.held_out_events,
        "users_with_relevant": len(divided.holdout),
        "relevant_items": len(divided.holdout.items),
    }


def requests_of(holdout: Holdout) -> list[RecommendRequest]:
    """What each user is asked for at the own moment. What can be bought today says nothing of that day: all items."""
    return [
        recommend_request(user, at=at, items=EVERYTHING, page_size=KEPT)
        for user, at in zip(holdout.users, holdout.at.tolist(), strict=True)
    ]


def scored(rows: dict[str, NDArray[np.int32]], holdout: Holdout, past: Past) -> dict[str, dict[str, object]]:
    truth = outcome(holdout, past.item_count, past.owned(), past.event_counts)
    return table({name: measure(rankings, truth) for name, rankings in rows.items()}, truth)


def _drawn(holdout: Holdout, options: ReplayOptions) -> Holdout:
    if options.users is None or options.users >= len(holdout):
        return holdout
    drawn = np.random.default_rng(options.seed).permutation(len(holdout))[: options.users]
    return holdout.take(np.sort(drawn))


def _served(scratch: Workspace, holdout: Holdout, seed: int, build: Build, progress: Progress) -> _Timed:
    started = time.monotonic()
    manifest = build(scratch, seed, progress)
    built = time.monotonic()
    answers = ask_served(scratch.root, manifest.release_id, requests_of(holdout), progress)
    return _Timed(manifest, answers, built - started, time.monotonic() - built)
