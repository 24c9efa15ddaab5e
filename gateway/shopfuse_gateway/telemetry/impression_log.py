"""The log of what was shown, with the features it was ranked by. It is only written: training takes the shop's events
and computes their features itself. Written after the answer by a thread of its own; a full queue drops, and counts,
rather than wait. One JSON line per answer in WORKSPACE/impressions/date=YYYY-MM-DD.jsonl; tables of [items, columns]
are base64 of little-endian float32: as JSON numbers those of 100 items would take as long as answering did.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import queue
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse_gateway.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

QUEUE = 1000
BATCH = 200


@dataclass(frozen=True, slots=True)
class Impression:
    """Arrays are of the items shown, in their order; they become text in the writer's thread."""

    fields: dict[str, object]
    item_ids: list[bytes]  # [p]
    scores: NDArray[np.float32]  # [p]
    features: NDArray[np.float32]  # [p, F]
    channel_scores: NDArray[np.float32]  # [p, K]
    channel_mask: NDArray[np.float32]  # [p, K]

    def line(self) -> bytes:
        items = {
            "item_ids": [item_id.decode() for item_id in self.item_ids],
            "scores": _packed(self.scores),
            "features": _packed(self.features),
            "channel_scores": _packed(self.channel_scores),
            "channel_mask": _packed(self.channel_mask),
        }
        return json.dumps(self.fields | items, separators=(",", ":")).encode() + b"\n"


def _packed(table: NDArray[np.float32]) -> str:
    return base64.b64encode(table.astype("<f4").tobytes()).decode("ascii")


class ImpressionLog:
    """A bounded queue and the thread that empties it. With `folder` None nothing is logged."""

    def __init__(self, folder: Path | None, metrics: Metrics) -> None:
        self._folder = folder
        self._dropped = metrics.impressions_dropped
        self._queue: queue.Queue[Impression | None] = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._write_all, name="impressions", daemon=True)
        self._thread.start()

    def offer(self, impression: Impression) -> None:
        """Never waits and never fails."""
        if self._folder is None:
            return
        try:
            self._queue.put_nowait(impression)
        except queue.Full:
            self._dropped.labels("queue_full").inc()

    def close(self) -> None:
        """Writes what is queued."""
        self._queue.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < BATCH and not self._queue.empty():
                if (following := self._queue.get()) is None:
                    self._write(batch)
                    return
                batch.append(following)
            self._write(batch)

    def _write(self, batch: list[Impression]) -> None:
        assert self._folder is not None
        path = self._folder / f"date={datetime.now(UTC):%Y-%m-%d}.jsonl"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            with os.fdopen(descriptor, "wb", buffering=0) as file:  # one append: workers share the file
                file.write(b"".join(impression.line() for impression in batch))
        except OSError as error:
            log.warning("%s: %d impressions not logged (%s)", path, len(batch), error.strerror)
            self._dropped.labels("disk").inc(len(batch))
