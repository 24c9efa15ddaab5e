"""What real logs hold and the simulated one does not: machines among the shoppers, and events that came twice.

They are added to a log that was simulated without them, so that the truth of the shop stays what it was. The demo shop
leaves them out; a test and a benchmark of cleaning put them in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.datasets.schema import EVENT_SCHEMA

LIST = 12  # items of a list
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class _Visit:
    """The lists of one machine on one day: when, what was on them, and which slots it clicked and bought."""

    seconds: NDArray[np.float64]  # [n] of the day
    slates: NDArray[np.int64]  # [n, LIST] items
    clicked: NDArray[np.bool_]  # [n, LIST]
    bought: NDArray[np.bool_]  # [n, LIST]


def _crawler(rng: np.random.Generator, items: int) -> _Visit:
    """Opens everything that it sees, five pages in a second."""
    count = 40
    seconds = rng.uniform(0, 0.9 * _DAY_S) + 0.2 * LIST * np.arange(count)
    everything = np.ones((count, LIST), np.bool_)
    return _Visit(seconds, rng.integers(0, items, (count, LIST)), everything, ~everything)


def _booster(rng: np.random.Generator, items: int) -> _Visit:
    """Day and night, every three minutes, clicks on and buys the same few items: those of a seller who pays for it."""
    count = 480
    slates = rng.integers(0, items, (count, LIST))
    slates[:, 0] = rng.integers(0, max(1, items // 50), count)
    first = np.arange(LIST) == 0
    clicked = np.broadcast_to(first, slates.shape).copy()
    return _Visit(
        180.0 * np.arange(count) + rng.uniform(0, 60, count), slates, clicked, clicked & (rng.random((count, 1)) < 0.3)
    )


def _watcher(rng: np.random.Generator, items: int) -> _Visit:
    """Reads lists for their prices and never clicks."""
    count = 300
    nothing = np.zeros((count, LIST), np.bool_)
    return _Visit(rng.uniform(0, 0.5 * _DAY_S, count), rng.integers(0, items, (count, LIST)), nothing, nothing)


MACHINES: dict[str, Callable[[np.random.Generator, int], _Visit]] = {
    "crawler": _crawler,
    "booster": _booster,
    "watcher": _watcher,
}


def with_intruders(events: pl.DataFrame, *, machines: int, repeats: float, seed: int) -> pl.DataFrame:
    """`events` (EVENT_SCHEMA) with `machines` of each kind, whose users are called bot-KIND-NUMBER, on every day, and a
    share `repeats` of the shoppers' events a second time, some hundred milliseconds later."""
    rng = np.random.default_rng(seed)
    items = events["item_id"].drop_nulls().unique().sort()
    days = events["timestamp"].dt.truncate("1d").unique().sort()
    parts = [events, _repeated(events, repeats, rng)]
    for kind, visit in MACHINES.items():
        for number in range(machines):
            user = f"bot-{kind}-{number}"
            parts += [_rows(visit(rng, len(items)), user, day, items) for day in days]
    return pl.concat(parts).sort("timestamp", "event_id")


def _repeated(events: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    chosen = events.filter(pl.Series(rng.random(len(events)) < share))
    late = pl.lit(pl.Series(rng.integers(50_000, 900_000, len(chosen))))
    return chosen.with_columns(
        event_id=pl.format("{}-again", "event_id"), timestamp=pl.col("timestamp") + pl.duration(microseconds=late)
    )


def _rows(visit: _Visit, user: str, day: object, items: pl.Series) -> pl.DataFrame:
    """The visit's events in EVENT_SCHEMA."""
    kinds = (
        ("view_item_list", np.ones_like(visit.clicked), 0.0),
        ("select_item", visit.clicked, 0.2),
        ("purchase", visit.bought, 9.0),
    )
    stamp = f"{day:%Y%m%d}"
    frames = []
    for name, happened, delay in kinds:
        row, slot = np.nonzero(happened)
        second = visit.seconds[row] + (delay * (slot + 1) if delay else 0.0)
        frames.append(
            pl.DataFrame(
                {
                    "event_name": pl.repeat(name, len(row), eager=True),
                    "request_id": [f"{user}-{stamp}-{number}" for number in row.tolist()],
                    "item_id": items.gather(visit.slates[row, slot]),
                    "position": slot,
                    "second": second,
                }
            )
        )
    events = pl.concat(frames)
    whole = events.with_columns(
        event_id=pl.format("{}-{}-{}", pl.lit(user), pl.lit(stamp), pl.int_range(pl.len())),
        timestamp=pl.lit(day) + pl.duration(microseconds=(pl.col("second") * 1e6).cast(pl.Int64)),
        user_id=pl.lit(user),
        session_id=pl.format("{}-{}", pl.lit(user), pl.lit(stamp)),
        list_name=pl.lit("recommend"),
    )
    missing = [pl.lit(None, kind).alias(name) for name, kind in EVENT_SCHEMA.items() if name not in whole.columns]
    return whole.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in EVENT_SCHEMA.items())
