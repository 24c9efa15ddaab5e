"""What the shop remembers of a user: the last events on items, newest last, in a packed fixed-width row.

Profiles are not stored beside it: affinities are derived from the history when features are computed, so that they can
never disagree with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError

# Code 0 is padding in the user tower.
EVENT_CODES = {"select_item": 1, "view_item": 2, "add_to_cart": 3, "purchase": 4}
EVENT_WEIGHT = np.array([0.0, 1.0, 1.0, 2.0, 3.0], dtype=np.float32)
MAX_HISTORY = 50
ENTRY = np.dtype([("item", "S64"), ("event", "i1"), ("at", "f8")])
FORMAT = b"\x01"


@dataclass(frozen=True, slots=True)
class UserState:
    """`entries` is a structured array [n <= 50] of ENTRY, oldest first; `at` is seconds since the epoch."""

    entries: NDArray[np.void]

    @property
    def item_ids(self) -> NDArray[np.bytes_]:
        return self.entries["item"]

    @property
    def present(self) -> bool:
        return len(self.entries) > 0

    def before(self, at: float) -> UserState:
        """What was known at a moment: an event of the moment itself is not, as in training."""
        return UserState(self.entries[self.entries["at"] < at])


UNKNOWN_USER = UserState(np.zeros(0, dtype=ENTRY))


def pack_user(state: UserState) -> bytes:
    return FORMAT + state.entries.tobytes()


def unpack_user(packed: bytes) -> UserState:
    """Raises ShopfuseError where the bytes are not a packed user."""
    if packed[:1] != FORMAT or (len(packed) - 1) % ENTRY.itemsize:
        raise ShopfuseError(
            f"user row: expected format {FORMAT!r} and {ENTRY.itemsize}-byte entries, got {packed[:1]!r}"
        )
    entries: NDArray[Any] = np.frombuffer(packed, dtype=ENTRY, offset=1)
    return UserState(entries[-MAX_HISTORY:])
