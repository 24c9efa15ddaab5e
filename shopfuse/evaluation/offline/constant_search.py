"""Are a search's constants well chosen? Each is chosen on some queries and judged on those left out, in turn.

What is best on the queries that chose it is partly luck; what leads on the others is not. A constant is tried alone,
with all others as they are in use, and then all of them together by coordinate search: one after the other takes its
best value, until none changes. Nothing here knows what the constants are for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.metrics.bootstrap import bootstrap_interval

Floats = NDArray[np.float64]
Choice = tuple[Any, ...]  # a value for each constant
Measure = Callable[[Choice], Floats]  # what it gives for each query: [queries, measures], 0..1
Parts = Sequence[NDArray[np.int64]]  # the queries of each fold
ROUNDS = 3  # of a coordinate search
SAME = 1e-9
STABLE = 0.8  # of the folds, that choose the same value


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """Queries measured by what the others chose, beside what is in use."""

    chosen: tuple[Choice, ...]  # of each fold
    by_chosen: Floats  # [queries, measures]
    in_use: Floats  # [queries, measures]

    def lead(self) -> tuple[float, float, float]:
        """Of the chosen values in the mean of the measures, and its 95 % interval over queries."""
        gain = (self.by_chosen - self.in_use).mean(1)
        return (float(gain.mean()), *bootstrap_interval(gain))


@dataclass(frozen=True, slots=True)
class Judged:
    """One constant, tried alone."""

    tried: tuple[Any, ...]  # the value in use first
    means: Floats  # [tried, measures], over all queries
    tells: bool  # whether any query's measure depends on it
    held_out: CrossValidated

    @property
    def values(self) -> list[Any]:
        """What each fold chose."""
        return [choice[0] for choice in self.held_out.chosen]

    @property
    def stability(self) -> tuple[Any, float]:
        """The value that most folds chose, and the share of them that did."""
        counts = Counter(map(repr, self.values))
        most = max(self.values, key=lambda value: counts[repr(value)])
        return most, counts[repr(most)] / len(self.values)

    @property
    def verdict(self) -> str:
        """A value replaces the one in use where queries that did not choose it say so, and nearly every fold does."""
        most, share = self.stability
        _, low, high = self.held_out.lead()
        if not self.tells:
            return "not told: no query depends on it"
        if low > 0.0 and share >= STABLE:
            return f"changed: {most!r} holds"
        if most == self.tried[0] and share == 1.0:
            return "kept: every fold chose it"
        return "kept: others do worse on queries left out" if high < 0.0 else "kept: within noise"


def folds(queries: int, count: int, seed: int = 0) -> Parts:
    """Parts of the queries, as equal as can be. Raises ValueError for more parts than queries."""
    if not 2 <= count <= queries:
        raise ValueError(f"expected 2 to {queries} folds (the judged queries), got {count}")
    return np.array_split(np.random.default_rng(seed).permutation(queries), count)


def judge(measure: Measure, tried: Sequence[Sequence[Any]], place: int, parts: Parts) -> Judged:
    """The constant at a place, with all others in use, which are the first of `tried` for each."""
    in_use = tuple(values[0] for values in tried)
    measured = np.stack([measure((*in_use[:place], value, *in_use[place + 1 :])) for value in tried[place]])
    picks = [_best(measured[:, _others(parts, part)]) for part in parts]
    by_chosen = measured[0].copy()
    for part, pick in zip(parts, picks, strict=True):
        by_chosen[part] = measured[pick, part]
    chosen = tuple((tried[place][pick],) for pick in picks)
    tells = bool((np.abs(measured - measured[0]) > SAME).any())
    return Judged(tuple(tried[place]), measured.mean(1), tells, CrossValidated(chosen, by_chosen, measured[0]))


def judge_together(measure: Measure, tried: Sequence[Sequence[Any]], parts: Parts) -> CrossValidated:
    """All constants, chosen by coordinate search on the queries outside each part."""
    start = tuple(values[0] for values in tried)
    in_use = measure(start)
    by_chosen, chosen = in_use.copy(), []
    for part in parts:
        choice = coordinate_search(measure, tried, start, _others(parts, part))
        by_chosen[part] = measure(choice)[part]
        chosen.append(choice)
    return CrossValidated(tuple(chosen), by_chosen, in_use)


def coordinate_search(
    measure: Measure, tried: Sequence[Sequence[Any]], start: Choice, known: NDArray[np.int64]
) -> Choice:
    """From `start` on, one constant after the other takes its best value for the `known` queries."""
    choice = start
    for _ in range(ROUNDS):
        before = choice
        for place, values in enumerate(tried):
            options = [(*choice[:place], value, *choice[place + 1 :]) for value in values if value != choice[place]]
            options.insert(0, choice)
            choice = options[_best(np.stack([measure(option)[known] for option in options]))]
        if choice == before:
            break
    return choice


def _others(parts: Parts, part: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.setdiff1d(np.concatenate(parts), part)


def _best(measured: Floats) -> int:
    """Of [tried, queries, measures] the best in the mean of all, the first of equals."""
    means = measured.mean((1, 2))
    return int(np.flatnonzero(means >= means.max() - SAME)[0])
