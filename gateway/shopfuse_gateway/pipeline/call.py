"""One call on its way through the stages: what is asked, until when, and what happened to it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from shopfuse.recall.words.query_reading import NOTHING_READ, ReadQuery
from shopfuse_gateway.pipeline.request import RankingRequest
from shopfuse_gateway.releases.page_token import Page
from shopfuse_gateway.telemetry.request_trace import RequestTrace


@dataclass(frozen=True, slots=True)
class Deadline:
    """One for each request: every await gets what is left of it, minus a reserve.

    `ends_at` is on the monotonic clock: a jump of the wall clock changes no budget.
    """

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


@dataclass(frozen=True, slots=True)
class Call:
    request: RankingRequest
    deadline: Deadline
    trace: RequestTrace
    reading: ReadQuery = NOTHING_READ  # of the request's words, by the release that answers

    def pinned(self, page: Page) -> Call:
        """The call at the time of the request's first page."""
        return replace(self, request=self.request.pinned(page))
