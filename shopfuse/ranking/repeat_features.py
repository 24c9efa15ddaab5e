"""The features that a user's memory gives: how often, how lately and how soon again they had an item and its category.

Names and order of all features are in features.py; what is remembered is in repeats.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.repeats import DAY_S, Memory, Seconds, interval_s, since_s, sums_at

Column = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.bool_] | float  # [c], or the same for all
SPANS = ("week", "month", "season")  # of repeats.HALF_LIVES_S
NEVER_S = 400 * DAY_S
NOTED = 16.0  # what a sum is multiplied by before its logarithm: a single look of months ago is still seen


def repeat_columns(rows: NDArray[np.int32], items: NDArray[np.void], memory: Memory, at: float) -> dict[str, Column]:
    """What the user's memory says of the candidates [c]. Where the user never had something it was NEVER_S ago."""
    had, remembered = memory.of(rows), memory.sums[:, -1]
    sums, since = sums_at(had, at), np.where(had["occasions"] > 0, since_s(had, at), NEVER_S)
    interval = np.maximum(interval_s(had, items["repeat_interval"]), DAY_S)
    of_category, category_since = _by_category(items["category"], memory, remembered, at)
    visits = float(sums_at(memory.visits, at)[0, -1])
    return {
        "purchased_before": had["bought"] > 0,
        "repeat_interval": _log_days(items["repeat_interval"]),
        "repeat_rate": items["repeat_rate"],
        "category_repeat_rate": items["category_repeat_rate"],
        **dict(zip((f"had_{span}" for span in SPANS), np.log1p(NOTED * sums.T), strict=True)),
        "had_times": np.log1p(had["occasions"]),
        "had_share": np.log1p(NOTED * sums[:, -1] / max(visits, 1e-3)),
        "had_since": _log_days(since),
        "had_interval": _log_days(interval),
        "had_due": np.log(since / interval + 0.02),
        "category_had": np.log1p(NOTED * of_category),
        "category_since": _log_days(category_since),
        **_visit_columns(memory, remembered, visits, at),
    }


def _visit_columns(memory: Memory, remembered: NDArray[np.float32], visits: float, at: float) -> dict[str, float]:
    """What is the same for all candidates; `remembered` [m] are the slowest sums of the memory's items, `visits` that
    of the shop's."""
    times = int(memory.repeats["occasions"].sum())
    since = max(at - float(memory.visits["last_at"][0]), 0.0) if memory.visits["occasions"][0] else NEVER_S
    return {
        "visits": np.log1p(visits),
        "visit_since": np.log(since / DAY_S + 0.5),
        "visit_size": np.log1p(float(remembered.sum()) / max(visits, 1e-3)),
        "repeat_share": 1.0 - len(memory.rows) / times if times else 0.0,
    }


def _by_category(
    categories: NDArray[np.int32], memory: Memory, remembered: NDArray[np.float32], at: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sums `remembered` [m] of the items of each category [c], and how long ago the last of them was."""
    sums, since = np.zeros(len(categories)), np.full(len(categories), NEVER_S)
    if len(memory.rows) == 0:
        return sums, since
    codes, place = np.unique(memory.categories, return_inverse=True)
    found = np.minimum(np.searchsorted(codes, categories), len(codes) - 1)
    known = (codes[found] == categories) & (categories != 0)
    last = np.zeros(len(codes))
    np.maximum.at(last, place, memory.repeats["last_at"])
    sums[known] = np.bincount(place, remembered)[found[known]]
    since[known] = np.maximum(at - last[found[known]], 0.0)
    return sums, since


def _log_days(seconds: Seconds) -> NDArray[np.float64]:
    days: NDArray[np.float64] = np.log(seconds / DAY_S + 0.5)
    return days
