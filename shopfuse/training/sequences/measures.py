"""From ranks to figures: HR@k and NDCG@k with one target each, intervals over users, and groups of targets.

With one relevant item the ideal is 1, so NDCG@k is 1 / log2(rank + 1) where the rank is at most k, else 0. Seeds are
not independent users: a user's value is the mean over seeds, and users are drawn again for the intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CUTOFFS = (5, 10, 20)
COLUMNS = tuple(f"{name}@{cutoff}" for cutoff in CUTOFFS for name in ("hr", "ndcg"))
_ROUNDS = 1000
_GROUPS = (("cold", 0, 0), ("tail", 1, 5), ("torso", 6, 20), ("head", 21, None))  # by training events of the target


@dataclass(frozen=True, slots=True)
class Interval:
    mean: float
    low: float
    high: float


def values(ranks: NDArray[np.int32]) -> NDArray[np.float64]:
    """COLUMNS of every user, of ranks [U] or [seeds, U] (then the mean over seeds): [U, 6]."""
    columns = []
    for cutoff in CUTOFFS:
        hit = ranks <= cutoff
        gain = np.where(hit, 1.0 / np.log2(np.minimum(ranks, cutoff) + 1.0), 0.0)
        columns += [hit.astype(np.float64), gain]
    stacked: NDArray[np.float64] = np.stack(columns, axis=-1)
    averaged: NDArray[np.float64] = stacked.mean(0) if ranks.ndim == 2 else stacked
    return averaged


def ndcg10(ranks: NDArray[np.int32]) -> float:
    return float(values(ranks)[..., COLUMNS.index("ndcg@10")].mean())


def intervals(columns: NDArray[np.float64], seed: int = 0) -> list[Interval]:
    """The mean of each column [users, columns] with its 95 % percentile bootstrap interval over users."""
    users = len(columns)
    random = np.random.default_rng(seed)
    drawn = np.empty((_ROUNDS, users), np.float32)
    for counts in drawn:
        counts[:] = np.bincount(random.integers(0, users, users), minlength=users)
    means = drawn @ columns.astype(np.float32) / users  # [rounds, columns]
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    triples = zip(columns.mean(0), low, high, strict=True)
    return [Interval(float(mean), float(lowest), float(highest)) for mean, lowest, highest in triples]


def groups(target_counts: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Users by how often their target occurs in training: head, torso, tail, and cold where it never does."""
    return {
        name: (target_counts >= least) & (target_counts <= (most if most is not None else np.inf))
        for name, least, most in _GROUPS
    }


def row(
    ranks: NDArray[np.int32], served: NDArray[np.int32], members: Mapping[str, NDArray[np.bool_]]
) -> dict[str, object]:
    """One row of the table: ranks [seeds, U] of a way to rank, beside those of the served one."""
    own, other = values(ranks), values(served)
    lead = (other - own)[:, COLUMNS.index("ndcg@10")]
    *means, leads = intervals(np.column_stack([own, lead]))
    document: dict[str, object] = {}
    for name, interval in zip(COLUMNS, means, strict=True):
        document |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
    document |= {"served_leads_by": leads.mean, "lead_low": leads.low, "lead_high": leads.high}
    document["seeds"] = [dict(zip(COLUMNS, values(part).mean(0).tolist(), strict=True)) for part in ranks]
    document["targets"] = {
        name: {"users": int(chosen.sum()), **_means(own[chosen])} for name, chosen in members.items()
    }
    return document


def _means(own: NDArray[np.float64]) -> dict[str, float]:
    means = own.mean(0) if len(own) else np.zeros(len(COLUMNS))
    return dict(zip(COLUMNS, means.tolist(), strict=True))
