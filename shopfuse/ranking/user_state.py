"""What the shop remembers of a user: the last events, newest last, and what came of each item over all time.

Packed in fixed-width rows. Profiles are not stored beside it: affinities are derived from the history when features are
computed, so that they can never disagree with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.repeats import MOST_ITEMS, NEVER, REPEAT, as_first_met, happened, most_valued, remember, visits


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event on an item. What it reached is what the ranker's tasks learn of it, each one from the next, too.

    `consumes`: the item is used up by it, and may be wanted again.
    """

    name: str  # of GA4 where it has one
    code: int  # in stores and tensors; 0 is padding, and no event in outcomes
    weight: float
    reached: Literal["click", "cart", "purchase"]
    consumes: bool = False


EVENT_KINDS = (
    EventKind("select_item", 1, 1.0, "click"),
    EventKind("view_item", 2, 1.0, "click"),
    EventKind("add_to_cart", 3, 2.0, "cart"),
    EventKind("purchase", 4, 3.0, "purchase", consumes=True),
    EventKind("add_to_wishlist", 5, 2.0, "click"),
    EventKind("rate_item", 6, 2.0, "click"),  # liked: a mapping leaves out ratings of dislike
    EventKind("play_item", 7, 2.0, "click", consumes=True),  # of songs, films, articles
)
EVENT_CODES = {kind.name: kind.code for kind in EVENT_KINDS}

# By code, [codes]; code 0 is no event.
EVENT_WEIGHT = np.array([0.0, *(kind.weight for kind in EVENT_KINDS)], np.float32)
_STRENGTH = list(zip(EVENT_WEIGHT.tolist(), range(len(EVENT_WEIGHT)), strict=True))
CLICKED = EVENT_WEIGHT > 0
CARTED = np.array([False, *(kind.reached != "click" for kind in EVENT_KINDS)])
PURCHASED = np.array([False, *(kind.reached == "purchase" for kind in EVENT_KINDS)])
CONSUMES = np.array([False, *(kind.consumes for kind in EVENT_KINDS)])

MAX_HISTORY = 50
ID_BYTES = 128  # of the longest item id


def entry_type(id_bytes: int) -> np.dtype[np.void]:
    """The type of one event of a history whose item ids have at most so many bytes."""
    return np.dtype([("item", f"S{id_bytes}"), ("event", "i1"), ("at", "f8")])


ENTRY = entry_type(ID_BYTES)
FORMAT = b"\x03"  # then a byte: as wide as the ids are
FORMAT_64 = b"\x02"  # of older stores: ids of 64 bytes
_COUNT = np.dtype("<u2")  # of entries, before them


def stronger(kind: int, other: int) -> int:
    """The code of the kind of event that says more: by weight, then by code."""
    return max(kind, other, key=_STRENGTH.__getitem__)


@dataclass(frozen=True, slots=True)
class UserState:
    """The last events, and all that the user did with each item. Times are seconds since the epoch."""

    entries: NDArray[np.void]  # [n <= MAX_HISTORY] of an entry_type, oldest first
    repeated: NDArray[np.bytes_]  # [m <= MOST_ITEMS] ids of items, ascending
    repeats: NDArray[np.void]  # [m] of REPEAT
    visits: NDArray[np.void]  # [1] of REPEAT, of whatever items

    @classmethod
    def of(cls, events: NDArray[np.void]) -> UserState:
        """The state after all of a user's events, of an entry_type, oldest first."""
        ids, items = np.unique(events["item"], return_inverse=True)
        bought, at = CONSUMES[events["event"]], events["at"]
        kept, repeats = remember(items, bought, at)
        return cls(events[-MAX_HISTORY:], ids[kept], repeats, visits(bought, at))

    @property
    def item_ids(self) -> NDArray[np.bytes_]:
        return self.entries["item"]

    @property
    def present(self) -> bool:
        return len(self.entries) > 0

    def after(self, item_id: bytes, event: int, at: float) -> UserState:
        """The state after one more event, which is the newest. A full memory forgets the least valued of the others."""
        entry = np.array([(item_id, event, at)], ENTRY)
        others = self.repeated != entry["item"][0]
        before = NEVER if others.all() else self.repeats[~others]
        ids, repeats = self.repeated[others].astype(ENTRY["item"]), self.repeats[others]
        kept = most_valued(repeats, MOST_ITEMS - 1)
        place, bought = int(np.searchsorted(ids[kept], entry["item"][0])), bool(CONSUMES[event])
        return UserState(
            np.concatenate([self.entries, entry])[-MAX_HISTORY:],
            np.insert(ids[kept], place, entry["item"][0]),
            np.insert(repeats[kept], place, happened(before, bought, at)[0]),
            happened(self.visits, bought, at),
        )

    def before(self, at: float) -> UserState:
        """What was known at a moment: an event of the moment itself is not, as in training.

        What came of an item cannot be turned back: of one that the user met again since, only the first time is known.
        Where that is not enough the state must be made anew, of the events before the moment.
        """
        if self.visits["last_at"][0] < at:  # nothing came since: every request of now
            return self
        met, came = self.repeats["first_at"] < at, self.visits["first_at"] < at
        repeats, visited = as_first_met(self.repeats[met], at), as_first_met(self.visits, at) if came.all() else NEVER
        return UserState(self.entries[self.entries["at"] < at], self.repeated[met], repeats, visited)


UNKNOWN_USER = UserState(np.zeros(0, ENTRY), np.zeros(0, ENTRY["item"]), np.zeros(0, REPEAT), NEVER)


def pack_user(state: UserState) -> bytes:
    """The state as bytes, its ids as wide as the longest of them."""
    width = max(map(len, (*state.item_ids.tolist(), *state.repeated.tolist())), default=1)
    kind, count = entry_type(width), np.array(len(state.entries), _COUNT)
    parts = (count, state.visits, state.entries.astype(kind), state.repeated.astype(kind["item"]), state.repeats)
    return FORMAT + bytes([width]) + b"".join(part.tobytes() for part in parts)


def unpack_user(packed: bytes) -> UserState:
    """Raises ShopfuseError where the bytes are not a packed user."""
    older = packed[:1] == FORMAT_64
    kind = entry_type(64 if older else max(packed[1], 1) if len(packed) > 1 else 1)
    count_at = 1 if older else 2
    visits_at = count_at + _COUNT.itemsize
    start, item = visits_at + REPEAT.itemsize, kind["item"].itemsize + REPEAT.itemsize
    count = int(np.frombuffer(packed, _COUNT, 1, count_at)[0]) if len(packed) >= start else 0
    rest = len(packed) - start - count * kind.itemsize
    if packed[:1] not in (FORMAT, FORMAT_64) or rest < 0 or rest % item:
        raise ShopfuseError(
            f"user row: expected format {FORMAT!r}, a width, a count, so many entries of {kind.itemsize} bytes and "
            f"items of {item}, got {packed[:visits_at]!r} and {len(packed)} bytes in all"
        )
    ids_at, items = start + count * kind.itemsize, rest // item
    return UserState(
        np.frombuffer(packed, kind, count, start),
        np.frombuffer(packed, kind["item"], items, ids_at),
        np.frombuffer(packed, REPEAT, items, ids_at + items * kind["item"].itemsize),
        np.frombuffer(packed, REPEAT, 1, visits_at),
    )
