"""`evaluate sequences`: a leave-one-out file as a shop that is built, served, and asked for each user's last item.

The file has no times. A user's newest known event lies on the same last day as everybody's, the one before it a day
earlier, and so on, each day a session: to hold out what comes after that day is to leave one out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.parquet import write_parquet
from shopfuse.datasets.schema import EVENT_SCHEMA, ITEM_SCHEMA
from shopfuse.datasets.sequences import ItemAttributes, Sequences
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.sequence_rows import chosen, described, pieces, table_rows
from shopfuse.evaluation.served.replay import ask_served
from shopfuse.evaluation.served.shop_replay import Build
from shopfuse.local.requests import EVERYTHING, recommend_request
from shopfuse.training.sequences.measures import CUTOFFS
from shopfuse.training.sequences.sasrec import sasrec_training
from shopfuse.training.sequences.scoring import NOWHERE
from shopfuse.training.sequences.split import Cases, Histories, leave_one_out
from shopfuse.training.sequences.workers import Workers
from shopfuse.v1.recommendation_pb2 import RecommendRequest, RepeatPurchases

LAST_DAY = datetime(2026, 1, 1, 12, tzinfo=UTC)
ASKED_AT = (LAST_DAY + timedelta(days=1)).timestamp()


@dataclass(frozen=True, slots=True)
class ServedSeed:
    """What was asked of the release that one seed built."""

    seed: int
    ranks: NDArray[np.int32]  # [U] of the targets
    degraded: int
    build_s: float
    ask_s: float


@dataclass(frozen=True, slots=True)
class SequencesReplay:
    """A file's sequences, and how they are replayed."""

    sequences: Sequences
    attributes: ItemAttributes | None
    seeds: Sequence[int]  # of the builds
    epochs: int | None = None  # of SASRec, at most
    workers: int = 1  # processes for the rows beside


def replay_sequences(wanted: SequencesReplay, folder: Path, build: Build, progress: Progress) -> dict[str, object]:
    """What `--json` prints. The shop is made in `folder`, new or empty; raises what building and serving raise."""
    started = time.monotonic()
    split = leave_one_out(wanted.sequences)
    with Workers(wanted.workers, split, progress) as pool:
        beside = pool.start(pieces(sasrec_training(wanted.epochs)))
        shop = sequence_shop(wanted.sequences.items, split.test.inputs, wanted.attributes, folder)
        served = [_serve(shop, split.test, seed, build, progress) for seed in wanted.seeds]
        counted, *trained = pool.finish(beside)
    return {
        "rows": table_rows(split, np.stack([run.ranks for run in served]), counted, trained),
        "data": described(wanted.sequences, split, wanted.attributes),
        "chosen": chosen(counted, trained),
        "seeds": [
            {"seed": run.seed, "degraded": run.degraded, "build_seconds": run.build_s, "ask_seconds": run.ask_s}
            for run in served
        ],
        "seconds": time.monotonic() - started,
    }


def sequence_shop(items: Sequence[str], known: Histories, attributes: ItemAttributes | None, folder: Path) -> Workspace:
    """A workspace of the file's items and the events `known` of each user; item n of the file is row n."""
    shop = Workspace.create(folder)
    write_parquet(shop.paths.items, item_rows(items, attributes))
    for (day,), rows in event_rows(known).group_by(pl.col("timestamp").dt.date(), maintain_order=True):
        write_parquet(shop.paths.events_of(day), rows)
    return shop


def item_id(item: int) -> str:
    return f"i{item:08d}"


def user_id(user: int) -> str:
    return f"u{user:08d}"


def item_rows(items: Sequence[str], attributes: ItemAttributes | None) -> pl.DataFrame:
    """The catalogue (ITEM_SCHEMA): the file's id as the title, each attribute by its number."""
    own: list[list[dict[str, str]]] = [[] for _ in items]
    if attributes is not None:
        for item, (start, end) in enumerate(zip(attributes.starts[:-1], attributes.starts[1:], strict=True)):
            own[item] = [{"name": "attribute", "value": str(number)} for number in attributes.ids[start:end]]
    columns = {
        "item_id": [item_id(item) for item in range(len(items))],
        "title": list(items),
        "description": [""] * len(items),
        "category": [[]] * len(items),
        "attributes": own,
        "available": [True] * len(items),
    }
    return _whole(pl.DataFrame(columns), ITEM_SCHEMA)


def event_rows(known: Histories) -> pl.DataFrame:
    """The events (EVENT_SCHEMA), all purchases, by time."""
    users, items, ages = known.flat()
    table = pl.DataFrame({"user": users, "item": items.astype(np.int64), "age": ages})
    user, item, day = pl.col("user").cast(pl.String), pl.col("item").cast(pl.String), pl.col("age").cast(pl.String)
    named = table.select(
        event_id=pl.format("u{}-{}", user.str.zfill(8), day),
        event_name=pl.lit("purchase"),
        timestamp=pl.lit(LAST_DAY) - pl.duration(days="age"),
        user_id=pl.format("u{}", user.str.zfill(8)),
        session_id=pl.format("u{}-{}", user.str.zfill(8), day),
        item_id=pl.format("i{}", item.str.zfill(8)),
    )
    return _whole(named, EVENT_SCHEMA).sort("timestamp", "event_id")


def _whole(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The frame with all columns of the schema, null where it has none."""
    blank = [pl.lit(None).alias(name) for name in schema if name not in frame.columns]
    return frame.with_columns(blank).select(pl.col(name).cast(kind) for name, kind in schema.items())


def requests_of(users: int) -> list[RecommendRequest]:
    """Each user's, a day after the last known event, without what the user has."""
    return [
        recommend_request(
            user_id(user),
            at=ASKED_AT,
            items=EVERYTHING,
            repeat_purchases=RepeatPurchases.REPEAT_PURCHASES_NEVER,
            page_size=max(CUTOFFS),
        )
        for user in range(users)
    ]


def _serve(shop: Workspace, cases: Cases, seed: int, build: Build, progress: Progress) -> ServedSeed:
    started = time.monotonic()
    manifest = build(shop, seed, progress)
    built = time.monotonic()
    answers = ask_served(shop.root, manifest.release_id, requests_of(len(cases)), progress)
    places = answers.rankings == cases.targets[:, None]
    ranks = np.where(places.any(1), places.argmax(1) + 1, NOWHERE).astype(np.int32)
    return ServedSeed(seed, ranks, answers.degraded, built - started, time.monotonic() - built)
