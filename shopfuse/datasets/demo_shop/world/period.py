"""The days that the demo shop lives through, and the scenes (holiday, campaign) that fall on some of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

LAST_DAY = date(2026, 6, 30)  # fixed, so that the same seed gives the same bytes on any date
SCENES = ("", "campaign", "holiday")
_WINDOWS = {"campaign": (0.30, 0.45), "holiday": (0.70, 0.85)}  # as shares of the period


@dataclass(frozen=True, slots=True)
class Period:
    """A number of whole UTC days that end with `last_day`."""

    days: int
    last_day: date = LAST_DAY

    def date_of(self, day: int) -> date:
        return self.last_day - timedelta(days=self.days - 1 - day)

    def start_of(self, day: int) -> datetime:
        return datetime.combine(self.date_of(day), time(), UTC)

    def progress(self, day: int) -> float:
        """How far the drift of tastes has come at midday, 0..1."""
        return (day + 0.5) / self.days

    def scene_of(self, day: int) -> int:
        """The day's scene as an index into SCENES."""
        for name, (start, end) in _WINDOWS.items():
            first = int(start * self.days)
            if first <= day < max(first + 1, int(end * self.days)):
                return SCENES.index(name)
        return 0
