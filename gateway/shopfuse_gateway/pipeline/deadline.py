"""One deadline per request. Every await gets what is left of it, minus a reserve; nothing here waits."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """`ends_at` is on the monotonic clock: a jump of the wall clock changes no budget."""

    ends_at: float
    reserve_s: float

    @classmethod
    def start(cls, remaining_s: float | None, cap_s: float, reserve_s: float) -> Deadline:
        """The deadline of a call with `remaining_s` left (None: the client set none), at most `cap_s` from now."""
        allowed = cap_s if remaining_s is None else min(remaining_s, cap_s)
        return cls(time.monotonic() + allowed, min(reserve_s, allowed / 5))

    @property
    def left_s(self) -> float:
        return max(self.ends_at - time.monotonic(), 0.0)

    def budget_s(self, share: float = 1.0) -> float:
        """Seconds that one await may take: a share of what is left after the reserve."""
        return max(self.left_s - self.reserve_s, 0.0) * share
