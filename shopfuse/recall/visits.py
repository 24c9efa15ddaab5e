"""Sessions, or users, as sparse item vectors: what pairs of items are counted from. In numpy alone, sorting instead of
looping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# (codes of sessions, or of users, int64 [e], rows int32 [e], event weights float32 [e], seconds float64 [e]).
Sessions = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Visits:
    """One entry [v] for each distinct item of a session; the entries of a session are neighbours, newest first."""

    rows: NDArray[np.int32]
    values: NDArray[np.float64]  # the root of the heaviest event's weight and of the session's decay
    starts: NDArray[np.int64]  # the first entry of those that the entry makes pairs with: its session's
    sizes: NDArray[np.int64]  # how many these are
    chance: (
        float  # times the summed squares of two items: their summed products if they had nothing to do with each other
    )


def visits(sessions: Sessions, newest_items: int, half_life_s: float = np.inf) -> Visits:
    """The newest distinct items of each session. Events in any order; rows of -1 are left out."""
    known = (sessions[1] >= 0) & (sessions[2] > 0)
    codes, rows, weights, at = _once_a_session(*(column[known] for column in sessions))
    codes, rows, weights, at = _newest(codes, rows, weights, at, newest_items)
    starts, sizes = runs(codes)
    newest = at.max(initial=0.0)
    decay = np.exp2((at[starts] - newest) / half_life_s)
    squares = weights * np.repeat(decay, sizes)
    count = float((squares / np.repeat(sizes, sizes)).sum())  # of the sessions, where all weights are 1
    chance = 1.0 / max(count, 1e-9)
    return Visits(rows, np.sqrt(squares), np.repeat(starts, sizes), np.repeat(sizes, sizes), chance)


def _once_a_session(codes: Any, rows: Any, weights: Any, at: Any) -> tuple[Any, Any, Any, Any]:
    """One entry for each (session, item): its heaviest weight and its last time."""
    order = np.lexsort((rows, codes))
    codes, rows, weights, at = codes[order], rows[order], weights[order], at[order]
    starts, _ = runs(codes, rows)
    if len(starts) == 0:
        return codes, rows, weights, at
    return codes[starts], rows[starts], np.maximum.reduceat(weights, starts), np.maximum.reduceat(at, starts)


def _newest(codes: Any, rows: Any, weights: Any, at: Any, items: int) -> tuple[Any, Any, Any, Any]:
    order = np.lexsort((rows, -at, codes))
    order = order[place_in_run(codes[order]) < items]
    return codes[order], rows[order], weights[order], at[order]


def runs(*columns: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(starts, sizes) of the runs of equal values in columns that are sorted together."""
    count = len(columns[0])
    if count == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    changed = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    starts = np.concatenate(([0], np.flatnonzero(changed) + 1))
    return starts, np.diff(starts, append=count)


def place_in_run(column: NDArray[Any]) -> NDArray[np.int64]:
    """For each value of a sorted column, how many equal ones come before it."""
    starts, sizes = runs(column)
    places: NDArray[np.int64] = np.arange(len(column)) - np.repeat(starts, sizes)
    return places


def spans(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions starts[0] .. starts[0] + sizes[0] - 1, starts[1] .., one span after the other."""
    before = np.cumsum(sizes) - sizes
    positions: NDArray[np.int64] = np.arange(int(sizes.sum())) + np.repeat(starts - before, sizes)
    return positions
