"""Logged features: ranked lists with the numbers they were ranked by and what came of them, as arrays and as Parquet.

The columns are those of the gateway's impression log, plus the outcome: a ranker trains from either.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.datasets.parquet import write_parquet
from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import FEATURES

NOT_SHOWN = -1  # the position of a candidate that was recalled but not shown


@dataclass(frozen=True, slots=True)
class LoggedLists:
    """[R] lists of at most L candidates each, by time. Padding has row -1."""

    request: NDArray[np.int32]  # [R] code in the event log
    seed: NDArray[np.int32]  # [R] row of the item to find others like, -1 where there is none
    rows: NDArray[np.int32]  # [R, L]
    position: NDArray[np.int16]  # [R, L]
    outcome: NDArray[np.int8]  # [R, L] the strongest event, 0 where there was none (user_state.EVENT_CODES)
    features: NDArray[np.float32]  # [R, L, F]
    channel_scores: NDArray[np.float32]  # [R, L, K]
    channel_mask: NDArray[np.float32]  # [R, L, K]
    weight: NDArray[np.float32]  # [R] how many requests each stands for

    def __len__(self) -> int:
        return len(self.request)

    def take(self, chosen: NDArray[np.generic]) -> LoggedLists:
        return LoggedLists(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def write_logged(path: Path, logged: LoggedLists) -> None:
    """One row for each list; the nested columns are flattened candidate by candidate."""
    count, length = logged.rows.shape
    frame = pl.DataFrame(
        {
            "request": logged.request,
            "seed": logged.seed,
            "rows": logged.rows,
            "position": logged.position,
            "outcome": logged.outcome,
            "features": logged.features.reshape(count, length * len(FEATURES)),
            "channel_scores": logged.channel_scores.reshape(count, length * len(CHANNELS)),
            "channel_mask": logged.channel_mask.reshape(count, length * len(CHANNELS)),
            "weight": logged.weight,
        }
    )
    write_parquet(path, frame)


def read_logged(path: Path) -> LoggedLists:
    frame = pl.read_parquet(path)
    count = len(frame)

    def table(name: str, depth: int = 0) -> NDArray[np.generic]:
        values = frame[name].to_numpy()
        return values.reshape(count, -1, depth) if depth else values

    return LoggedLists(
        request=frame["request"].to_numpy(),
        seed=frame["seed"].to_numpy(),
        rows=table("rows").astype(np.int32),
        position=table("position").astype(np.int16),
        outcome=table("outcome").astype(np.int8),
        features=table("features", len(FEATURES)).astype(np.float32),
        channel_scores=table("channel_scores", len(CHANNELS)).astype(np.float32),
        channel_mask=table("channel_mask", len(CHANNELS)).astype(np.float32),
        weight=frame["weight"].to_numpy(),
    )
