"""What is held out of a shop's events: who is asked at which moment, and what each did from then on.

By time: everything from a moment on is held out, and each user who then did something is asked at the first of it. Or
leave one out: of each user with enough events the newest. What machines and repeats left is not held out; what stays is
as the shop logged it, for a build cleans it itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.cleaning import clean_events

LEAST_EVENTS = 3  # of a user whose newest is held out
_SPAN = re.compile(r"([1-9][0-9]{0,4})([dh])")
_UNIT_S = {"d": 86_400.0, "h": 3600.0}


class HoldoutError(ShopfuseError):
    """Events that cannot be divided; the message says what there is and what would work."""


@dataclass(frozen=True, slots=True)
class Holdout:
    """Users [U], the moment at which each is asked, and the items that are relevant to each, distinct."""

    users: list[str]
    at: NDArray[np.float64]  # [U] seconds since the epoch
    items: NDArray[np.int32]  # [R] rows of the catalogue; user u's are items[starts[u] : starts[u + 1]]
    starts: NDArray[np.int64]  # [U + 1]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many items are relevant to each user, [U]."""
        return np.diff(self.starts)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The user of each relevant item, [R]."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, users: NDArray[np.int64]) -> Holdout:
        """These users only."""
        items = [self.items[self.starts[user] : self.starts[user + 1]] for user in users]
        starts = np.concatenate([[0], np.cumsum(self.counts[users])]).astype(np.int64)
        return Holdout([self.users[user] for user in users], self.at[users], np.concatenate(items), starts)


@dataclass(frozen=True, slots=True)
class DividedEvents:
    """`known` (EVENT_SCHEMA) is what the shop knows when it is asked, `holdout` what it is asked about."""

    name: str  # as it was asked for: "14d", "leave-one-out"
    known: pl.DataFrame
    holdout: Holdout
    split_at: float | None  # seconds; None where each user has a moment of his own
    held_out_events: int


def parse_span(text: str) -> float:
    """ "14d" or "36h" in seconds. Raises HoldoutError where it is something else."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise HoldoutError(f"--split {text!r}: expected a number of days or hours, such as 14d or 36h")
    return int(match[1]) * _UNIT_S[match[2]]


def split_by_time(events: pl.LazyFrame, catalogue: Catalogue, span: str) -> DividedEvents:
    """Holds out what happened in the newest `span`. Raises HoldoutError where that leaves nothing on one side."""
    seconds = parse_span(span)
    logged, cleaned = _read(events)
    newest, oldest = float(cleaned["at"].max()), float(cleaned["at"].min())  # type: ignore[arg-type]
    split_at = newest - seconds
    if split_at <= oldest:
        before = int((cleaned["at"] < split_at).sum())
        raise HoldoutError(
            f"--split {span}: {before} events lie before it and {len(cleaned) - before} from it on; "
            f"the events span {_told(newest - oldest)}, so take less than that"
        )
    held_out = _of_known(cleaned.filter(pl.col("at") >= split_at), catalogue)
    known = logged.filter(_seconds() < split_at)
    return DividedEvents(span, known, _holdout(held_out), split_at, len(cleaned.filter(pl.col("at") >= split_at)))


def leave_newest_out(events: pl.LazyFrame, catalogue: Catalogue) -> DividedEvents:
    """Holds out the newest event of each user with LEAST_EVENTS, and what the log has of the user after it."""
    logged, cleaned = _read(events)
    named = cleaned.filter(pl.col("user_id").is_not_null())
    newest = named.group_by("user_id").agg(pl.all().last(), pl.len().alias("events"))
    newest = newest.filter(pl.col("events") >= LEAST_EVENTS)
    if newest.is_empty():
        raise HoldoutError(f"no user has {LEAST_EVENTS} events: the newest of fewer is not held out")
    last = newest.select("user_id", last_at="timestamp", last_id="event_id")
    joined = logged.join(last, on="user_id", how="left", maintain_order="left")
    earlier = (pl.col("timestamp") < pl.col("last_at")) | (
        (pl.col("timestamp") == pl.col("last_at")) & (pl.col("event_id") < pl.col("last_id"))
    )
    known = joined.filter(pl.col("last_at").is_null() | earlier).drop("last_at", "last_id")
    held_out = _of_known(newest.drop("events"), catalogue)
    return DividedEvents("leave-one-out", known, _holdout(held_out), None, len(newest))


def _seconds() -> pl.Expr:
    return pl.col("timestamp").dt.epoch("us").cast(pl.Float64) / 1e6


def _read(events: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(everything, what was done with items after cleaning, with its seconds `at`), both by time."""
    logged = events.sort("timestamp", "event_id").collect()
    if logged.is_empty():
        raise HoldoutError("the shop has no events: there is nothing to hold out; bring some with import events")
    engaged, _ = clean_events(logged)
    engaged = engaged.filter(pl.col("event_name").is_in(list(EVENT_CODES)), pl.col("item_id").is_not_null())
    engaged = engaged.with_columns(at=_seconds())
    if engaged.is_empty():
        raise HoldoutError(f"none of the {len(logged)} events is one on an item: there is nothing to hold out")
    if float(engaged["at"].max()) - float(engaged["at"].min()) < 1.0:  # type: ignore[arg-type]
        moment = engaged["timestamp"][0]
        raise HoldoutError(f"all {len(engaged)} events are of one second ({moment:%Y-%m-%d %H:%M:%S}): none is earlier")
    return logged, engaged


def _of_known(held_out: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    """Those of a user and an item that can be asked about: user_id, at, row."""
    rows = held_out.select("user_id", "at", row=pl.Series(catalogue.rows(held_out["item_id"])))
    known = rows.filter(pl.col("user_id").is_not_null() & (pl.col("user_id") != ""), pl.col("row") >= 0)
    if known.is_empty():
        raise HoldoutError(
            f"none of the {len(held_out)} events held out is of a named user and an item that the catalogue holds"
        )
    return known


def _holdout(held_out: pl.DataFrame) -> Holdout:
    """Each user's first moment and distinct items, users in the order of their moments."""
    users = (
        held_out.group_by("user_id")
        .agg(pl.col("at").min(), pl.col("row").unique().sort())
        .sort("at", "user_id")
        .with_columns(count=pl.col("row").list.len())
    )
    starts = np.concatenate([[0], np.cumsum(users["count"].to_numpy())]).astype(np.int64)
    items = users["row"].explode().to_numpy().astype(np.int32)
    return Holdout(users["user_id"].to_list(), users["at"].to_numpy().astype(np.float64), items, starts)


def _told(seconds: float) -> str:
    return f"{seconds / 86_400:.1f} days" if seconds >= 86_400 else f"{seconds / 3600:.1f} hours"
