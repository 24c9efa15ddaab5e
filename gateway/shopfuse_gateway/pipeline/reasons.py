"""Why an item is where it is: statements that hold for it, from its channel scores and features, strongest first.

Each rule says how strongly it holds (0: not at all), for all items of a page at once. Texts claim no more than the
numbers do: vectors of a shop without events know descriptions, not shoppers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN, RECOMMEND, SIMILAR
from shopfuse.ranking.features import FEATURES
from shopfuse.ranking.repeat_purchases import DUE, LONG_GONE
from shopfuse.ranking.repeats import DAY_S, interval_s, since_s
from shopfuse.recall.words.query_reading import ReadQuery
from shopfuse.state.store import Display
from shopfuse.v1 import item_pb2
from shopfuse_gateway.pipeline.candidates import Candidates
from shopfuse_gateway.pipeline.request import RankingRequest

MAX_REASONS = 4
CLOSE = 0.3  # a cosine below it says nothing
ALL_WORDS = 0.999
SURE = 0.8  # of a query's category
WELL_KNOWN = 0.5  # of the popularity channel, which is a log share
NOTICEABLE = 0.15  # share of a history
RECENT = float(np.exp(-14 / 30))  # freshness two weeks after publication

_FEATURE_COLUMN = {name: column for column, name in enumerate(FEATURES)}
Strengths = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The items of one page. `positions` are theirs among the candidates."""

    request: RankingRequest
    reading: ReadQuery  # of its words
    candidates: Candidates
    positions: NDArray[np.int64]  # [p]
    displays: Sequence[Display]  # [p]

    def channel(self, name: str) -> Strengths:
        """The channel's scores, 0 where it does not apply, [p]."""
        column, at = CHANNEL_COLUMN[name], self.positions
        scores: Strengths = self.candidates.channel_scores[at, column] * self.candidates.channel_mask[at, column]
        return scores

    @property
    def repeats(self) -> NDArray[np.void]:
        return self.candidates.repeats[self.positions]

    @property
    def since_s(self) -> NDArray[np.float64]:
        """How long ago the user had them, [p]."""
        return since_s(self.repeats, self.request.context.at)

    @property
    def usual_s(self) -> NDArray[np.float64]:
        """After how long the user comes back to them, [p]."""
        return interval_s(self.repeats, self.candidates.items["repeat_interval"][self.positions])

    def bought_between(self, first: float, last: float) -> Strengths:
        """1 where an item was bought, the last time between so many usual intervals ago, else 0."""
        ago = self.since_s / np.maximum(self.usual_s, 1.0)
        between: Strengths = ((self.repeats["bought"] > 0) & (ago >= first) & (ago < last)).astype(np.float32)
        return between

    def feature(self, name: str) -> Strengths:
        values: Strengths = self.candidates.features[self.positions, _FEATURE_COLUMN[name]]
        return values


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    strength: Callable[[Evidence], Strengths]  # [p], 0..1
    text: Callable[[Evidence, int], str]


def _above(values: Strengths, threshold: float) -> Strengths:
    return np.where(values > threshold, np.minimum(values, 1.0), 0.0).astype(np.float32)


def _lexical(evidence: Evidence) -> Strengths:
    best = float(evidence.candidates.channel_scores[:, CHANNEL_COLUMN["lexical"]].max(initial=0.0))
    return evidence.channel("lexical") / best if best > 0 else np.zeros(len(evidence.positions), np.float32)


def _like_history(evidence: Evidence) -> Strengths:
    request = evidence.request
    of_user = not request.query and not request.image and not request.seed
    return _above(evidence.channel("behaviour"), CLOSE) * of_user


def _seasonal(evidence: Evidence) -> Strengths:
    return _above(-np.expm1(-np.maximum(evidence.feature("scene_lift"), 0.0)), 0.1)


def _match_text(evidence: Evidence, at: int) -> str:
    words = "every word" if evidence.channel("coverage")[at] > ALL_WORDS else "words"
    typed, reading = evidence.request.query, evidence.reading
    asked = f"its text holds {words} of “{(reading.asked or typed)[:80]}”"
    if reading.corrected:
        return f"{asked}, which “{typed[:80]}” was read as"
    return f"{asked}, the last one completed" if reading.completed else asked


def _meaning_text(evidence: Evidence, at: int) -> str:
    subject = "this item's description" if evidence.request.surface == SIMILAR else "your query"
    return f"close in meaning to {subject} ({evidence.channel('semantic')[at]:.2f})"


def _looks_text(evidence: Evidence, at: int) -> str:
    subject = "this item" if evidence.request.surface == SIMILAR else "your image"
    return f"looks like {subject} ({evidence.channel('visual')[at]:.2f})"


def _together_text(evidence: Evidence, _: int) -> str:
    subject = "this item" if evidence.request.surface == SIMILAR else "items in your history"
    return f"often in one session with {subject}"


def _brand_text(evidence: Evidence, at: int) -> str:
    brand = evidence.displays[at].brand or "this brand"
    return f"{evidence.feature('brand_affinity')[at]:.0%} of your recent interest went to {brand}"


def _category_text(evidence: Evidence, at: int) -> str:
    category = (evidence.displays[at].category or ("this category",))[-1]
    return f"{evidence.feature('category_affinity')[at]:.0%} of your recent interest went to {category}"


def _query_brand_text(evidence: Evidence, at: int) -> str:
    return f"you asked for {evidence.displays[at].brand or 'its brand'}"


def _query_category_text(evidence: Evidence, at: int) -> str:
    category = (evidence.displays[at].category or ("this category",))[-1]
    return f"{category}, which your query seems to mean"


def _due_text(evidence: Evidence, at: int) -> str:
    """Of one time there is no rhythm: then it is that of others."""
    usual, last = _days(evidence.usual_s[at]), _days(evidence.since_s[at])
    if evidence.repeats["bought"][at] > 1:
        return f"you had it {last} ago, and about every {usual}"
    return f"you had it {last} ago; others come back to it after about {usual}"


def _bought_text(evidence: Evidence, at: int) -> str:
    return f"you had it {_days(evidence.since_s[at])} ago"


def _long_gone_text(evidence: Evidence, at: int) -> str:
    return f"you have not had it for {_days(evidence.since_s[at])}"


def _days(seconds: float) -> str:
    days = max(round(seconds / DAY_S), 1)
    return f"{days} days" if days > 1 else "a day"


def _new_to_you(evidence: Evidence) -> Strengths:
    """Where the user has bought anything, so that it tells items apart."""
    recommended = evidence.request.surface == RECOMMEND and bool((evidence.candidates.repeats["bought"] > 0).any())
    new: Strengths = (0.1 * recommended * (evidence.repeats["occasions"] == 0)).astype(np.float32)
    return new


RULES = (
    Rule("MATCHES_QUERY", _lexical, _match_text),
    Rule("BRAND_ASKED_FOR", lambda evidence: 0.6 * _above(evidence.channel("brand"), 0.0), _query_brand_text),
    Rule("CATEGORY_ASKED_FOR", lambda evidence: 0.5 * _above(evidence.channel("category"), SURE), _query_category_text),
    Rule("SIMILAR_MEANING", lambda evidence: _above(evidence.channel("semantic"), CLOSE), _meaning_text),
    Rule("LOOKS_ALIKE", lambda evidence: _above(evidence.channel("visual"), CLOSE), _looks_text),
    Rule("SIMILAR_TO_HISTORY", _like_history, lambda _, __: "similar to items in your history"),
    Rule("OFTEN_TOGETHER", lambda evidence: _above(evidence.channel("co_visit"), 0.0), _together_text),
    Rule("BRAND_YOU_LIKE", lambda evidence: _above(evidence.feature("brand_affinity"), NOTICEABLE), _brand_text),
    Rule(
        "CATEGORY_YOU_LIKE", lambda evidence: _above(evidence.feature("category_affinity"), NOTICEABLE), _category_text
    ),
    Rule("BUY_AGAIN_DUE", lambda evidence: 0.9 * evidence.bought_between(DUE, LONG_GONE), _due_text),
    Rule("BOUGHT_BEFORE", lambda evidence: 0.8 * evidence.bought_between(0.0, DUE), _bought_text),
    Rule("LONG_GONE", lambda evidence: 0.6 * evidence.bought_between(LONG_GONE, np.inf), _long_gone_text),
    Rule("SEASONAL", _seasonal, lambda evidence, _: f"in demand now: {evidence.request.context.scene}"),
    Rule(
        "POPULAR",
        lambda evidence: 0.5 * _above(evidence.channel("popular"), WELL_KNOWN),
        lambda _, __: "popular right now",
    ),
    Rule("NEW", lambda evidence: 0.3 * _above(evidence.feature("freshness"), RECENT), lambda _, __: "new in the shop"),
    Rule("NEW_TO_YOU", _new_to_you, lambda _, __: "you have not had it yet"),
)


def reasons(evidence: Evidence) -> list[list[item_pb2.Reason]]:
    """For each item of the page its reasons, at most MAX_REASONS."""
    strengths = np.stack([rule.strength(evidence) for rule in RULES], axis=1)  # [p, rules]
    order = np.argsort(-strengths, axis=1, kind="stable")[:, :MAX_REASONS]
    return [
        [
            item_pb2.Reason(code=RULES[rule].code, text=RULES[rule].text(evidence, at))
            for rule in order[at].tolist()
            if strengths[at, rule] > 0
        ]
        for at in range(len(strengths))
    ]
