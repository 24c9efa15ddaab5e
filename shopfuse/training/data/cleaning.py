"""What is taken out of an event log before anything learns from it: repeated events, machines, outliers.

Rules are applied in the order of the table, each to what the earlier ones left. Every removal says which rule, how much
and by which bound, and goes into the release manifest. A rule that finds more than MOST_BELIEVED of the events, or of
the shoppers, misreads this log (moments cut to the day, say): it removes nothing and warns instead. A few machines may
well make more events than all shoppers; that they are removed is a warning too.
Nothing is repaired or filled in here, and who is a machine is judged from the whole log, not point in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from shopfuse.training.data.cleaning_rules import (
    ACTOR,
    Finding,
    around_the_clock,
    clicks_of_unseen,
    never_clicking,
    odd_prices,
    odd_quantities,
    repeated,
    stray_moments,
    too_fast,
    too_many,
    with_actors,
)

MOST_BELIEVED = 0.2  # by one rule, of the events or, where it judges whole actors, of the actors
MOST_QUIETLY = 0.2  # of the events, by one rule, removed without a warning
RULES: dict[str, Callable[[pl.DataFrame], Finding]] = {
    "repeated events": repeated,
    "stray moments": stray_moments,
    "odd prices": odd_prices,
    "odd quantities": odd_quantities,
    "bots: too many actions": too_many,
    "bots: too fast": too_fast,
    "bots: around the clock": around_the_clock,
    "bots: clicks on what was not shown": clicks_of_unseen,
    "bots: never a click": never_clicking,
}


@dataclass(frozen=True, slots=True)
class Removal:
    rule: str
    events: int
    actors: int  # users, or sessions of nobody known
    bound: str  # what was allowed
    applied: bool  # False: it found too much to be believed


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What the rules found in a log of `events` events; those that found nothing are left out."""

    events: int = 0
    removals: tuple[Removal, ...] = ()

    @property
    def removed(self) -> int:
        return sum(removal.events for removal in self.removals if removal.applied)

    def record(self) -> dict[str, Any]:
        """For the release manifest; `cleaning_lines` reads it."""
        rules = {
            removal.rule: {name: value for name, value in asdict(removal).items() if name != "rule"}
            for removal in self.removals
        }
        return {"events": self.events, "removed": self.removed, "rules": rules}


def cleaning_lines(record: Mapping[str, Any]) -> list[str]:
    """For people: a line for each rule of a `Cleaning.record` that found something, warnings last."""
    lines = []
    for rule, removal in record["rules"].items():
        share = removal["events"] / record["events"]
        what = f"{removal['events']} events ({share:.1%}) of {removal['actors']} users or sessions"
        if not removal["applied"]:
            lines.append(f"warning: {rule}: {what} look so, too much to be believed; none removed ({removal['bound']})")
        else:
            warned = "warning: " if share > MOST_QUIETLY else ""
            lines.append(f"{warned}{rule}: {what} removed ({removal['bound']})")
    return sorted(lines, key=lambda line: line.startswith("warning"))


def clean_events(events: pl.DataFrame) -> tuple[pl.DataFrame, Cleaning]:
    """The events (EVENT_SCHEMA, sorted by time) without what the rules find, and what that was."""
    kept, removals = with_actors(events), []
    for rule, find in RULES.items():
        finding = find(kept)
        count = int(finding.removed.sum())
        if count:
            believed = finding.share <= MOST_BELIEVED
            removals.append(
                Removal(rule, count, kept.filter(finding.removed)[ACTOR].n_unique(), finding.bound, believed)
            )
            kept = kept.filter(~finding.removed) if believed else kept
    return kept.drop(ACTOR), Cleaning(len(events), tuple(removals))
