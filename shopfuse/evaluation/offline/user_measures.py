"""Rankings of many users scored at once against what each did next: relevance is binary.

NDCG@10 has its ideal over min(10, relevant items). The same of items that the user had before, and of those new to the
user, each over users with such items: what is right for the other kind then counts as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.offline.holdout import Holdout
from shopfuse.metrics.bootstrap import bootstrap_intervals

FIRST = 10
_DISCOUNT = 1.0 / np.log2(np.arange(FIRST) + 2.0)
_IDEAL = np.concatenate([[0.0], np.cumsum(_DISCOUNT)])  # by how many items are relevant, at most FIRST
# Users by the number of their events before the split: name, least, most.
_GROUPS = (("0", 0, 0), ("1-4", 1, 4), ("5-19", 5, 19), ("20+", 20, None))
MEANS = ("ndcg@10", "hr@10", "recall@20", "recall@100", "mrr", "ndcg@10_repeated", "ndcg@10_new")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is relevant to each user, as keys user * N + item, and who is in which group."""

    keys: NDArray[np.int64]  # [R] ascending
    had: NDArray[np.bool_]  # [R] the user had the item before
    users: int
    item_count: int
    groups: Mapping[str, NDArray[np.bool_]]  # [U] each

    def counts(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Relevant items of each user among the chosen [R]: [U]."""
        return np.bincount(self.keys[chosen] // self.item_count, minlength=self.users)


def outcome(holdout: Holdout, item_count: int, owned: NDArray[np.int64], events: NDArray[np.int64]) -> Outcome:
    """`owned` are the (user, item) keys of what users had before, `events` [U] how many events of each are known."""
    keys = holdout.owners * item_count + holdout.items
    groups = {
        name: (events >= least) & (events <= (most if most is not None else np.inf)) for name, least, most in _GROUPS
    }
    return Outcome(keys, np.isin(keys, owned), len(holdout), item_count, groups)


@dataclass(frozen=True, slots=True)
class UserMeasures:
    """A value of each user in each of MEANS, NaN where it says nothing of the user; and what all rankings hold."""

    columns: NDArray[np.float64]  # [U, MEANS]
    coverage: float  # share of the catalogue that is among the first ten of anybody

    @property
    def ndcg(self) -> NDArray[np.float64]:
        return self.columns[:, 0]


def measure(rankings: NDArray[np.int32], truth: Outcome) -> UserMeasures:
    """Of rankings [U, k] of item rows, best first, -1 where there are fewer."""
    users = np.arange(truth.users)[:, None]
    wanted = np.where(rankings >= 0, users * truth.item_count + rankings, -1)  # [U, k]
    places = np.minimum(np.searchsorted(truth.keys, wanted), len(truth.keys) - 1)
    hit = truth.keys[places] == wanted
    had = hit & truth.had[places]
    every = np.ones(len(truth.keys), np.bool_)
    relevant = truth.counts(every)
    first = np.where(hit.any(1), hit.argmax(1) + 1.0, np.inf)
    columns = (
        _ndcg(hit, relevant),
        hit[:, :FIRST].any(1),
        hit[:, :20].sum(1) / relevant,
        hit[:, :100].sum(1) / relevant,
        1.0 / first,
        _ndcg(had, truth.counts(truth.had)),
        _ndcg(hit & ~had, truth.counts(~truth.had)),
    )
    shown = np.unique(rankings[:, :FIRST])
    return UserMeasures(np.column_stack(columns).astype(np.float64), float((shown >= 0).sum() / truth.item_count))


def _ndcg(hit: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """[U] of hits [U, k], NaN for users without relevant items."""
    gained = hit[:, :FIRST] @ _DISCOUNT[: hit.shape[1]]
    ideal = _IDEAL[np.minimum(relevant, FIRST)]
    values: NDArray[np.float64] = np.divide(gained, ideal, out=np.full(len(hit), np.nan), where=ideal > 0)
    return values


def table(measures: Mapping[str, UserMeasures], truth: Outcome) -> dict[str, dict[str, object]]:
    """Each row's figures, with the interval of its NDCG@10 and of what the row "served" leads by, over the same draws
    of users."""
    served = measures["served"].ndcg
    columns = [column for part in measures.values() for column in (part.ndcg, served - part.ndcg)]
    intervals = bootstrap_intervals(np.column_stack(columns)).reshape(len(measures), 2, 2).tolist()
    return {
        name: _row(part, truth, own) | (_lead(served - part.ndcg, lead) if name != "served" else {})
        for (name, part), (own, lead) in zip(measures.items(), intervals, strict=True)
    }


def _row(part: UserMeasures, truth: Outcome, interval: list[float]) -> dict[str, object]:
    means = {name: _mean(column) for name, column in zip(MEANS, part.columns.T, strict=True)}
    groups = {
        name: {"users": int(chosen.sum()), "ndcg@10": _mean(part.ndcg[chosen])} for name, chosen in truth.groups.items()
    }
    low, high = interval
    return {**means, "ndcg@10_low": low, "ndcg@10_high": high, "coverage@10": part.coverage, "users_by_events": groups}


def _lead(leads: NDArray[np.float64], interval: list[float]) -> dict[str, object]:
    return {"served_leads_by": _mean(leads), "lead_low": interval[0], "lead_high": interval[1]}


def _mean(values: NDArray[np.float64]) -> float | None:
    """Of the users that it says something of; None where there is nobody."""
    told = values[~np.isnan(values)]
    return float(told.mean()) if len(told) else None
