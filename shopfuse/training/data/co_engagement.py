"""Pairs of items that one user engaged with in one session."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.training.data.event_log import Events

_REACH = 4  # pairs an event with this many later events of its session, so that long sessions do not dominate


def session_pairs(events: Events) -> NDArray[np.int64]:
    """Distinct item rows engaged within a session, [pairs, 2], in both orders left to the reader."""
    engaged = events.engaged
    engaged = engaged.take(engaged.session >= 0)
    engaged = engaged.take(np.lexsort((engaged.at, engaged.session)))
    rows = engaged.row.astype(np.int64)
    found = []
    for lag in range(1, _REACH + 1):
        together = (engaged.session[lag:] == engaged.session[:-lag]) & (rows[lag:] != rows[:-lag])
        found.append(np.stack([rows[:-lag][together], rows[lag:][together]], axis=1))
    return np.concatenate(found)
