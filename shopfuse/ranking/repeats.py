"""What a user did with each item, over all time: how often, from when to when, and how much of it lately.

One occasion is all that a user does with an item without a pause of OCCASION_S; occasions on which the item was bought
(or played: what consumes it) count for themselves, too. `remember` makes the memory of many events at once, `happened`
carries it on by one event, to the same result. A memory is bounded: MOST_ITEMS items, from the MOST_EVENTS newest
events. An item that was forgotten and comes back starts anew, which `remember` does not imitate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item", np.int32, np.int64)
Seconds = NDArray[np.float32] | NDArray[np.float64]

DAY_S = 86400.0
OCCASION_S = 1800.0
MOST_ITEMS = 512
MOST_EVENTS = 20_000  # 1 ms of work; 100,000 would be 12
# An occasion counts 1, and 2 more where the item was bought; half of that for each half-life that has passed.
BOUGHT_TOO = 2.0
HALF_LIVES_S = np.array([7 * DAY_S, 30 * DAY_S, 120 * DAY_S])
USUAL_INTERVAL_S = 30 * DAY_S  # where a shop has seen nobody come back
PRIOR_GAPS = 2.0  # gaps of the usual length that a user's own are counted with

# What is known of one user and one item. Moments are seconds since the epoch, 0 where it was never bought.
REPEAT = np.dtype(
    [
        ("first_at", "f8"),
        ("last_at", "f8"),
        ("first_bought_at", "f8"),
        ("last_bought_at", "f8"),
        ("occasions", "u4"),
        ("bought", "u4"),  # occasions on which it was
        ("sums", "f4", (len(HALF_LIVES_S),)),  # of the occasions, as of last_at
    ]
)
NEVER = np.zeros(1, REPEAT)


@dataclass(frozen=True)
class Memory:
    """The items of a release that a user had to do with, as it is at a moment.

    Without slots: the sums are computed at first use and kept, for the channel `again` and the features.
    """

    rows: NDArray[np.int32]  # [m], ascending, distinct
    categories: NDArray[np.int32]  # [m], text_code of each item's category, 0 where it has none
    repeats: NDArray[np.void]  # [m] of REPEAT
    visits: NDArray[np.void]  # [1] of REPEAT, of the shop as if it were one item
    at: float

    @cached_property
    def sums(self) -> NDArray[np.float32]:
        """As of the moment, [m, half-lives]."""
        return sums_at(self.repeats, self.at)

    def of(self, rows: NDArray[np.int32]) -> NDArray[np.void]:
        """What is known of the items `rows` [c]: REPEAT [c], zeros where there is nothing."""
        if len(self.rows) == 0:
            return np.repeat(NEVER, len(rows))
        at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        known: NDArray[np.void] = self.repeats[at]
        known[self.rows[at] != rows] = NEVER[0]
        return known

    def take(self, kept: NDArray[np.bool_]) -> Memory:
        """Of some of the items [m]; of the same visits."""
        return Memory(self.rows[kept], self.categories[kept], self.repeats[kept], self.visits, self.at)


NO_MEMORY = Memory(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, REPEAT), NEVER, 0.0)


def remember(
    items: NDArray[Item], bought: NDArray[np.bool_], at: NDArray[np.float64]
) -> tuple[NDArray[Item], NDArray[np.void]]:
    """The memory of one user's events [n], by time: its distinct items ascending, and their REPEATs, [m] each."""
    items, bought, at = items[-MOST_EVENTS:], bought[-MOST_EVENTS:], at[-MOST_EVENTS:]
    distinct, repeats, place, starts, bought_starts = _occasions(items, bought, at)
    order = np.argsort(items, kind="stable")
    ages = repeats["last_at"][place] - at[order]
    counts = starts + BOUGHT_TOO * bought_starts
    counting = np.flatnonzero(counts)
    faded = counts[counting, None] * np.exp2(-ages[counting, None] / HALF_LIVES_S)
    for column in range(len(HALF_LIVES_S)):
        repeats["sums"][:, column] = np.bincount(place[counting], faded[:, column], len(distinct))
    kept = most_valued(repeats, MOST_ITEMS)
    return distinct[kept], repeats[kept]


def visits(bought: NDArray[np.bool_], at: NDArray[np.float64]) -> NDArray[np.void]:
    """The REPEAT [1] of one user's events [n] whatever their items; NEVER where there is none."""
    _, repeats = remember(np.zeros(len(at), np.int32), bought, at)
    return repeats if len(repeats) else NEVER


def occasions(
    items: NDArray[Item], bought: NDArray[np.bool_], at: NDArray[np.float64]
) -> tuple[NDArray[Item], NDArray[np.void]]:
    """As `remember`, without bounds and without the sums: `items` may be pairs of users and items."""
    distinct, repeats, *_ = _occasions(items, bought, at)
    return distinct, repeats


def _occasions(
    items: NDArray[Item], bought: NDArray[np.bool_], at: NDArray[np.float64]
) -> tuple[NDArray[Item], NDArray[np.void], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Distinct items and their REPEATs [m]; by item and time, each event's place among them and whether it opens an
    occasion, and one on which the item was bought: [n] each."""
    order = np.argsort(items, kind="stable")
    sorted_items, moments = items[order], at[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = sorted_items[1:] != sorted_items[:-1]
    first, place = np.flatnonzero(new), np.cumsum(new) - 1
    starts = _opens(place, moments)
    repeats = np.zeros(len(first), REPEAT)
    repeats["first_at"] = moments[first]
    repeats["last_at"] = moments[np.cumsum(np.bincount(place, minlength=len(first))) - 1]
    repeats["occasions"] = np.bincount(place[starts], minlength=len(first))
    buys = np.flatnonzero(bought[order])
    opens = buys[_opens(place[buys], moments[buys])]
    bought_starts = np.zeros(len(order), np.bool_)
    bought_starts[opens] = True
    repeats["bought"] = np.bincount(place[opens], minlength=len(first))
    repeats["last_bought_at"][place[buys]] = moments[buys]  # the last of equal places stays
    repeats["first_bought_at"][place[buys[::-1]]] = moments[buys[::-1]]
    return sorted_items[first], repeats, place, starts, bought_starts


def _opens(place: NDArray[np.int64], moments: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which events, by item and time, come at least OCCASION_S after the one before on their item: [n]."""
    opens = np.ones(len(place), np.bool_)
    opens[1:] = (place[1:] != place[:-1]) | (moments[1:] - moments[:-1] >= OCCASION_S)
    return opens


def happened(repeat: NDArray[np.void], bought: bool, at: float) -> NDArray[np.void]:
    """The REPEAT [1] of an item after one more event; of NEVER, after the first. An event that comes late counts as one
    of the last moment."""
    before, after = repeat[0], repeat.copy()
    new = not before["occasions"]
    at = at if new else max(at, float(before["last_at"]))
    opens = bool(new or at - before["last_at"] >= OCCASION_S)
    buys = bool(bought and (not before["bought"] or at - before["last_bought_at"] >= OCCASION_S))
    after["first_at"] = at if new else before["first_at"]
    after["last_at"] = at
    if bought:
        after["first_bought_at"] = before["first_bought_at"] if before["bought"] else at
        after["last_bought_at"] = at
    after["occasions"] += opens
    after["bought"] += buys
    after["sums"] = sums_at(repeat, at) + opens + BOUGHT_TOO * buys
    return after


def sums_at(repeats: NDArray[np.void], at: float) -> NDArray[np.float32]:
    """The sums as of a moment, [m, half-lives]; those of later events as they are."""
    ages = np.maximum(at - repeats["last_at"], 0.0)
    sums: NDArray[np.float32] = (repeats["sums"] * np.exp2(-ages[:, None] / HALF_LIVES_S)).astype(np.float32)
    return sums


def added_up(items: NDArray[Item], repeats: NDArray[np.void]) -> tuple[NDArray[Item], NDArray[np.void]]:
    """The distinct of `items` [m], ascending, and one REPEAT for each, where several were known of one. Two occasions
    that overlap stay two."""
    order = np.argsort(items, kind="stable")
    distinct, first = np.unique(items[order], return_index=True)
    if len(distinct) == len(items):
        return distinct, repeats[order]
    known, place = repeats[order], np.repeat(np.arange(len(first)), np.diff(first, append=len(items)))
    sums = np.zeros(len(first), REPEAT)
    sums["first_at"] = np.minimum.reduceat(known["first_at"], first)
    for name in ("last_at", "last_bought_at"):
        sums[name] = np.maximum.reduceat(known[name], first)
    bought_at = np.minimum.reduceat(np.where(known["bought"] > 0, known["first_bought_at"], np.inf), first)
    sums["first_bought_at"] = np.where(np.isfinite(bought_at), bought_at, 0.0)
    for name in ("occasions", "bought"):
        sums[name] = np.add.reduceat(known[name], first)
    ages = sums["last_at"][place] - known["last_at"]
    faded = known["sums"] * np.exp2(-ages[:, None] / HALF_LIVES_S)
    sums["sums"] = np.add.reduceat(faded, first)
    return distinct, sums


def most_valued(repeats: NDArray[np.void], most: int) -> NDArray[np.int64]:
    """The places of the `most` with the largest slowest sums as of the newest event, ascending."""
    if len(repeats) <= most:
        return np.arange(len(repeats))
    value = sums_at(repeats, float(repeats["last_at"].max()))[:, -1]
    return np.sort(np.argsort(-value, kind="stable")[:most])


def as_first_met(repeats: NDArray[np.void], at: float) -> NDArray[np.void]:
    """What is certain to have been known at `at` of items first met before: where more came since, the first of it."""
    known, since = repeats.copy(), repeats["last_at"] >= at
    bought = (repeats["bought"] > 0) & (repeats["first_bought_at"] < at)
    known["occasions"][since] = 1
    known["bought"][since] = bought[since]
    known["last_at"][since] = repeats["first_at"][since]
    for name in ("first_bought_at", "last_bought_at"):
        known[name][since] = np.where(bought, repeats["first_bought_at"], 0.0)[since]
    known["sums"][since] = (1.0 + BOUGHT_TOO * bought)[since, None]
    return known


def since_s(repeats: NDArray[np.void], at: float) -> NDArray[np.float64]:
    """How long ago the item was last bought, or else looked at, [m]; never below 0."""
    last = np.where(repeats["bought"] > 0, repeats["last_bought_at"], repeats["last_at"])
    since: NDArray[np.float64] = np.maximum(at - last, 0.0)
    return since


def interval_s(repeats: NDArray[np.void], usual_s: Seconds) -> NDArray[np.float64]:
    """After how long the user comes back to the item, [m]: the mean of their own gaps and PRIOR_GAPS of `usual_s` [m].

    Between purchases, or else between occasions of any kind.
    """
    bought = repeats["bought"] > 0
    count = np.where(bought, repeats["bought"], repeats["occasions"])
    first = np.where(bought, repeats["first_bought_at"], repeats["first_at"])
    last = np.where(bought, repeats["last_bought_at"], repeats["last_at"])
    gaps = np.maximum(count.astype(np.float64) - 1.0, 0.0)
    interval: NDArray[np.float64] = (last - first + PRIOR_GAPS * usual_s) / (gaps + PRIOR_GAPS)
    return interval
