"""Every constant that decides what a search finds and in which order, and how one is tried with another value.

The numbers live beside what they are for; this table is where all of them are seen at once. A row names the module's
constant and the values to try beside the one in use. What only bounds work or memory, and what belongs to surfaces
without words, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from shopfuse.ranking.channels import TABLE
from shopfuse.recall.meaning_floor import FOREIGN, THROWN

# Up to which step a search is done anew for another value, the first being all of it.
BUILD, READ, RECALL, SCORE, ORDER = STAGES = ("build", "read", "recall", "score", "order")
FACTORS = (0.0, 0.5, 2.0)  # of a channel's weight


@dataclass(frozen=True, slots=True)
class SearchConstant:
    name: str  # "module:NAME", or "weight:CHANNEL"
    stage: str  # of STAGES
    others: tuple[Any, ...]  # the values to try beside the one in use

    @property
    def in_use(self) -> Any:
        """As it is now: inside `varied` the other value. IN_USE holds what the code says."""
        where, _, name = self.name.partition(":")
        return _WEIGHTS[name] if where == "weight" else getattr(import_module(f"shopfuse.{where}"), name)

    @property
    def tried(self) -> tuple[Any, ...]:
        """The value in use first."""
        return (self.in_use, *(value for value in self.others if value != self.in_use))


_WEIGHTS = {channel.name: channel.search_weight for channel in TABLE}
CONSTANTS = (
    *(
        SearchConstant(f"weight:{channel.name}", ORDER, tuple(channel.search_weight * factor for factor in FACTORS))
        for channel in TABLE
        if channel.search_weight > 0
    ),
    SearchConstant("weight:quantity", ORDER, (0.5, 1.0)),
    SearchConstant("weight:behaviour", ORDER, (0.1, 0.5)),
    SearchConstant("recall.meaning_floor:TOO_NEAR", ORDER, (0.01, 0.1, 0.2)),
    SearchConstant("recall.meaning_floor:KINDS", ORDER, ((FOREIGN,), (THROWN,), ())),
    SearchConstant("recall.facts.titles:MODELS_ONLY", SCORE, (False,)),
    SearchConstant("recall.categories:NEAR", SCORE, (0.5, 0.6, 0.8, 0.9)),
    SearchConstant("recall.categories:PRIOR_ITEMS", SCORE, (0.0, 3.0, 30.0)),
    SearchConstant("recall.categories:EVIDENCE", SCORE, (3.0, 30.0)),
    SearchConstant("recall.lexical_recipe:HALF", RECALL, (0.0, 0.25, 0.75, 1.0)),
    SearchConstant("recall.lexical_recipe:OTHER_FIELDS", RECALL, (0.0, 0.3, 1.0)),
    SearchConstant("recall.words.units:TOLERANCE", SCORE, (0.0, 0.03)),
    SearchConstant("recall.words.units:DIAGONAL", SCORE, (0.0, 1000.0)),
    SearchConstant("recall.channels:POOL", RECALL, (128, 512)),
    SearchConstant("recall.channels:PER_CHANNEL", RECALL, (100, 400)),
    SearchConstant("recall.channels:RRF_K", RECALL, (10.0, 200.0)),
    SearchConstant("recall.facts.identifiers:MIN_PIECE", RECALL, (3, 6)),
    SearchConstant("recall.facts.identifiers:MIN_WITHIN", RECALL, (4, 7)),
    SearchConstant("recall.facts.identifiers:FEW", RECALL, (3, 30)),
    SearchConstant("recall.words.query_reading:CODE_LENGTH", ORDER, (5, 8)),
    SearchConstant("recall.words.known_words:COMPLETIONS", READ, (1, 16)),
    SearchConstant("recall.words.spelling:MIN_LENGTH", BUILD, (3, 5)),
    SearchConstant("recall.words.spelling:TWO_EDITS", BUILD, (6, 12)),
    SearchConstant("recall.words.compounds:MIN_HEAD", READ, (3, 5)),
    SearchConstant("recall.words.brands:MIN_SHARE", BUILD, (0.1, 0.5)),
    SearchConstant("recall.words.joints:TOGETHER", BUILD, (0.05, 0.2, 0.5)),
    SearchConstant("recall.words.joints:MIN_TOGETHER", BUILD, (1, 4)),
    SearchConstant("recall.words.spelling:MIN_ITEMS", BUILD, (1, 4)),
    SearchConstant("recall.facts.titles:VALUE_WORDS", BUILD, (1, 4)),
    SearchConstant("recall.facts.identifiers:MAX_ITEMS", BUILD, (4, 64)),
)
IN_USE = {constant.name: constant.in_use for constant in CONSTANTS}
FLOOR = ("recall.meaning_floor:TOO_NEAR", "recall.meaning_floor:KINDS")  # what the floor is measured by


@contextmanager
def varied(values: Mapping[str, Any]) -> Iterator[dict[str, float]]:
    """The constants of these names have these values inside; gives the channels' weights among them."""
    weights, places = dict[str, float](), list[tuple[Any, str, Any]]()
    for full_name, value in values.items():
        where, _, name = full_name.partition(":")
        if where == "weight":
            weights[name] = float(value)
        else:
            module = import_module(f"shopfuse.{where}")
            places.append((module, name, getattr(module, name)))
            setattr(module, name, value)
    try:
        yield weights
    finally:
        for module, name, before in places:
            setattr(module, name, before)
