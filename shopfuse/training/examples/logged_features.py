"""Logged features: ranked lists with the numbers they were ranked by and what came of them, replayed from the events.

A ranker trains from the arrays; the Parquet file is for people to look at.
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

NO_POSITION = -1  # the position of a candidate that was recalled but not shown


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
    sampled: NDArray[np.float32]  # [R] the share that its unwanted candidates are of those that recall brought

    def __len__(self) -> int:
        return len(self.request)

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which candidates were shown, [R, L]; none in the lists of visits, which nobody ranked."""
        return self.position >= 0

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
            "sampled": logged.sampled,
        }
    )
    write_parquet(path, frame)
