"""Rows that need no release: what the events before the split say when they are counted, or learned from by SASRec.

All of them know the same events and rank all items of the catalogue for the same users at the same moments. Among items
that a row does not tell apart the more popular comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.evaluation.offline.holdout import Holdout
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.sequences.counted_rows import count_rows
from shopfuse.training.sequences.fit import SequenceTraining
from shopfuse.training.sequences.sasrec import TRIALS, SasRecTrial, best_trial, train_sasrec
from shopfuse.training.sequences.scoring import Scores
from shopfuse.training.sequences.split import Cases, Histories, Split
from shopfuse.training.sequences.workers import Piece

KEPT = 100  # items of a ranking
RECENT_S = 30 * 86_400.0
DAILY = 0.985  # what a day leaves of an event's weight in own_frequency_decayed
CELLS = 1 << 22  # scores of users x items that are held at once

Rankings = dict[str, NDArray[np.int32]]  # row -> item rows [U, KEPT], best first, -1 where there are fewer
BlockScores = Callable[[slice], NDArray[np.floating[Any]]]  # of some of the users asked: [b, N]


@dataclass(frozen=True, slots=True)
class Past:
    """The engaged events before the split, by user, then time; the users asked come first, in the holdout's order."""

    row: NDArray[np.int32]  # [E]
    at: NDArray[np.float64]  # [E] seconds
    starts: NDArray[np.int64]  # [users + 1]
    popularity: NDArray[np.int64]  # [N] events of each item, those of nobody known included
    recent: NDArray[np.int64]  # [N] of the newest RECENT_S
    moments: NDArray[np.float64]  # [U] at which the users are asked

    @property
    def item_count(self) -> int:
        return len(self.popularity)

    @property
    def asked(self) -> int:
        return len(self.moments)

    @property
    def event_counts(self) -> NDArray[np.int64]:
        """How many events of each user asked are known, [U]."""
        return np.diff(self.starts[: self.asked + 1])

    def owned(self) -> NDArray[np.int64]:
        """The distinct (user asked, item) pairs as user * N + item, ascending."""
        users = np.repeat(np.arange(self.asked), self.event_counts)
        return np.unique(users * self.item_count + self.row[: len(users)])

    def blocks(self) -> Iterator[slice]:
        """The users asked, as many at a time as there is room for their scores."""
        size = max(1, CELLS // max(1, self.item_count))
        return (slice(start, min(start + size, self.asked)) for start in range(0, self.asked, size))


def read_past(events: pl.LazyFrame, catalogue: Catalogue, holdout: Holdout) -> Past:
    """What a build knows of the events (EVENT_SCHEMA), cleaned as it cleans them."""
    log = load_event_log(events, catalogue)
    engaged = log.events.engaged
    place = {user: number for number, user in enumerate(holdout.users)}
    others = iter(range(len(place), len(place) + len(log.users)))
    codes = np.array([place[user] if user in place else next(others) for user in log.users], np.int64)
    count = len(place) + len(log.users)
    named = engaged.take(engaged.user >= 0)
    user = codes[named.user]
    order = np.lexsort((named.at, user))  # stable: ties keep the order of the log
    newest = engaged.at.max(initial=0.0)
    recent = engaged.row[engaged.at > newest - RECENT_S]
    return Past(
        row=named.row[order],
        at=named.at[order],
        starts=np.searchsorted(user[order], np.arange(count + 1)).astype(np.int64),
        popularity=np.bincount(engaged.row, minlength=len(catalogue)),
        recent=np.bincount(recent, minlength=len(catalogue)),
        moments=holdout.at,
    )


def top(scores: NDArray[np.floating[Any]], popular: NDArray[np.int64], kept: int = KEPT) -> NDArray[np.int32]:
    """The best items of each user, [b, kept], of scores [b, N]; `popular` [N] are all items in the order of ties."""
    ordered = scores[:, popular]
    kept = min(kept, ordered.shape[1])
    worst = np.partition(ordered, -kept, axis=1)[:, -kept, None]
    above, equal = ordered > worst, ordered == worst
    room = kept - above.sum(1, keepdims=True)
    chosen = np.nonzero(above | (equal & (np.cumsum(equal, axis=1) <= room)))[1].reshape(len(scores), kept)
    best = np.argsort(-np.take_along_axis(ordered, chosen, 1), axis=1, kind="stable")
    ranking: NDArray[np.int32] = popular[np.take_along_axis(chosen, best, 1)].astype(np.int32)
    return ranking


def rank_all(past: Past, scores: BlockScores, progress: Callable[[int], None] = lambda done: None) -> NDArray[np.int32]:
    """The rankings [U, kept] of all users asked."""
    popular = np.lexsort((np.arange(past.item_count), -past.popularity))
    parts = []
    for block in past.blocks():
        parts.append(top(scores(block), popular))
        progress(block.stop)
    return np.concatenate(parts)


def frequencies(past: Past, daily: float) -> BlockScores:
    """How often each user had each item, an event weighing `daily` ** (days before the user is asked)."""

    def scores(block: slice) -> NDArray[np.float64]:
        first, last = past.starts[block.start], past.starts[block.stop]
        users = np.repeat(np.arange(block.stop - block.start), past.event_counts[block])
        days = (past.moments[block][users] - past.at[first:last]) / 86_400
        cells = users * past.item_count + past.row[first:last]
        size = (block.stop - block.start) * past.item_count
        summed = np.bincount(cells, daily**days, size).astype(np.float64, copy=False)
        return summed.reshape(-1, past.item_count)

    return scores


def as_split(past: Past) -> Split:
    """The past as sequences: a user's newest item is for choosing, those before it are learned from.

    An item that follows itself counts once: a click and the purchase after it are one wish.
    """
    users = np.repeat(np.arange(len(past.starts) - 1), np.diff(past.starts))
    same = np.zeros(len(users), np.bool_)
    same[1:] = (users[1:] == users[:-1]) & (past.row[1:] == past.row[:-1])
    items, users = past.row[~same], users[~same]
    bounds = np.searchsorted(users, np.arange(len(past.starts))).astype(np.int64)
    starts, ends = bounds[:-1], bounds[1:]
    train = Histories(items, starts, np.maximum(starts, ends - 1))
    known = np.flatnonzero(ends - starts >= 2)
    validation = Cases(train.take(known), items[ends[known] - 1], again=True)
    asked = np.arange(past.asked)
    test = Cases(Histories(items, starts, ends).take(asked), np.full(past.asked, -1, np.int32), again=True)
    return Split(train, validation, test, past.item_count, np.bincount(train.flat()[1], minlength=past.item_count))


def _of_split(past: Past, split: Split, scores: Scores) -> BlockScores:
    """Scores of histories as scores of the users asked; one without history gets what is popular."""

    def block_scores(block: slice) -> NDArray[np.floating[Any]]:
        histories = split.test.inputs.take(np.arange(block.start, block.stop))
        known = histories.lengths > 0
        table = np.tile(past.popularity.astype(np.float64), (len(histories), 1))
        if known.any():
            table[known] = scores(histories.take(np.flatnonzero(known)))
        return table

    return block_scores


def pieces(training: SequenceTraining) -> list[Piece]:
    """The work behind the rows, for `Workers` over a Past; `rows_of` takes what they give."""
    return [Piece(_count, ()), *(Piece(_train, (trial, training)) for trial in TRIALS)]


def rows_of(results: list[tuple[float, Rankings]]) -> Rankings:
    """The rows: those that are counted, and SASRec with the settings that validation chose."""
    (_, counted), *trials = results
    return {**counted, **trials[best_trial([ndcg for ndcg, _ in trials])][1]}


def _count(past: Past, progress: Progress) -> tuple[float, Rankings]:
    popular, recent = past.popularity.astype(np.float64), past.recent.astype(np.float64)
    rows: dict[str, BlockScores] = {
        "popularity": lambda block: np.tile(popular, (block.stop - block.start, 1)),
        "popularity_30_days": lambda block: np.tile(recent, (block.stop - block.start, 1)),
        "own_frequency": frequencies(past, 1.0),
        "own_frequency_decayed": frequencies(past, DAILY),
    }
    split = as_split(past)
    if len(split.validation):
        counted = count_rows(split, progress).rows()
        rows |= {name: _of_split(past, split, counted[name]) for name in ("item_knn", "item_knn_transitions")}
    return 0.0, {name: rank_all(past, scores, partial(_report, progress, name, past)) for name, scores in rows.items()}


def _train(past: Past, trial: SasRecTrial, training: SequenceTraining, progress: Progress) -> tuple[float, Rankings]:
    split = as_split(past)
    if not (split.train.lengths >= 2).any():
        return 0.0, {}
    model = train_sasrec(split, trial, training, 1, progress)
    return model.trained.validation_ndcg, {"sasrec": rank_all(past, _of_split(past, split, model.scores))}


def _report(progress: Progress, name: str, past: Past, done: int) -> None:
    progress(f"row {name}", done, past.asked)
