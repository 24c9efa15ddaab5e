"""Merges what the channels found into one pool of candidates by reciprocal ranks.

Raw scores of channels are not comparable; ranks are (Cormack, Clarke and Buettcher, 2009). The ranker
decides the order that is shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.found import NOTHING, Found, best

RANK_CONSTANT = 60.0


def merge(found: Mapping[str, Found], limit: int) -> NDArray[np.int32]:
    """The rows of the pool, best first: by the sum of 1 / (60 + rank) over the channels, then by row."""
    parts = [found[name] for name in sorted(found)] or [NOTHING]  # sums must not depend on the order of arrival
    rows = np.concatenate([part.rows for part in parts])
    shares = np.concatenate([1.0 / (RANK_CONSTANT + 1.0 + np.arange(len(part))) for part in parts])
    distinct, inverse = np.unique(rows, return_inverse=True)
    return best(distinct, np.bincount(inverse, weights=shares, minlength=len(distinct)), limit).rows
