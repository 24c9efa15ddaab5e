"""A user's state as a test writes it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from shopfuse.ranking.user_state import ENTRY, EVENT_CODES, UserState


def user_state(events: Iterable[tuple[str, str, float]]) -> UserState:
    """A user's state from (item_id, event_name, at) in any order."""
    rows = [(item.encode(), EVENT_CODES[name], at) for item, name, at in events]
    entries = np.array(rows, dtype=ENTRY)
    return UserState.of(entries[np.argsort(entries["at"], kind="stable")])
