"""Whether what a user bought may be recommended again: the choices that there are, and what each keeps away.

Which choice holds for an item is not decided here: the request's, else its category's, else the shop's.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.repeats import Seconds, interval_s, since_s

# By code; the codes are those of the API's RepeatPurchases.
CHOICES: Final = ("auto", "allow", "when_due", "never")
AUTO, ALLOW, WHEN_DUE, NEVER = range(len(CHOICES))
FEW = 0.1  # share of buyers who come back to a category's items: where fewer do, auto keeps them away
DUE = 0.5  # of the usual interval
LONG_GONE = 3.0  # usual intervals after which the user seems to have left an item


def kept_away(
    choice: NDArray[np.int8],
    repeats: NDArray[np.void],
    category_rates: NDArray[np.float32],
    intervals_s: NDArray[np.float32],
    at: float,
) -> NDArray[np.bool_]:
    """Which items [n] do not come back at a moment, by the choice for each, what is remembered of it (REPEAT), the
    repeat rate of its category and its own usual interval."""
    never = (choice == NEVER) | ((choice == AUTO) & (category_rates < FEW))
    not_due = (choice == WHEN_DUE) & (intervals_since(repeats, intervals_s, at) < DUE)
    away: NDArray[np.bool_] = (repeats["bought"] > 0) & (never | not_due)
    return away


def intervals_since(repeats: NDArray[np.void], intervals_s: Seconds, at: float) -> NDArray[np.float64]:
    """How many of the user's usual intervals ago the item was last had, [n]."""
    since: NDArray[np.float64] = since_s(repeats, at) / np.maximum(interval_s(repeats, intervals_s), 1.0)
    return since
