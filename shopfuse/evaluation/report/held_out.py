"""The newest part of a log, held out: requests and visits as cases to rank, and lists as impressions to judge.

What counts as held out is what no gradient has seen. Where events came in after the training these are taken: nothing
was chosen on them, either. Else it is what the ranker was validated on. Cases know what was known just before them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.offline.judged_cases import JudgedCase, product_grades
from shopfuse.ranking.user_state import PURCHASED, stronger
from shopfuse.recall.groups import Groups
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import IMPRESSION, EventLog, Events
from shopfuse.training.examples.impressions import LISTED, ImpressionList
from shopfuse.training.examples.ranker_data import GAIN

NEWEST = 0.15  # of the requests with a click, where nothing says what was held out
MIN_REQUESTS = 50  # with a click, or visits, below which a held-out part says nothing
_UNSEEN = "events that came in after the training: neither trained nor chosen on"
_VALIDATION = (
    "the requests or visits that the ranker was validated on: no gradient saw them, but early stopping and the weights "
    "of the tasks were chosen on them, so figures may be slightly kind to the fused ranker"
)
_UNTRAINED = "the newest requests or visits; the models of this shop learn from no event"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Everything from the moment `since` (seconds) on; `what` says what it is held out from."""

    since: float
    what: str


def held_out(log: EventLog, models: ShopModels) -> HeldOut | None:
    """The held-out part of a log, None where it would hold too few requests with a click, or visits."""
    asked = np.sort(_moments_of(log))
    if len(asked) < MIN_REQUESTS:
        return None
    until = float(models.made_by.get("events_until", np.inf))
    if int((asked > until).sum()) >= MIN_REQUESTS:
        return HeldOut(float(asked[asked > until][0]), _UNSEEN)
    newest = float(asked[-max(MIN_REQUESTS, int(NEWEST * len(asked)))])
    if models.made_by.get("towers") != "trained":
        return HeldOut(newest, _UNTRAINED)
    since = float(models.metrics.get("held_out_since", newest))
    return HeldOut(since if int((asked >= since).sum()) >= MIN_REQUESTS else newest, _VALIDATION)


def _moments_of(log: EventLog) -> NDArray[np.float64]:
    """When each request with a click was made, [n]; where a shop logs no request, when each visit began."""
    engaged = log.events.engaged
    codes = np.unique(engaged.request[engaged.request >= 0])
    if len(codes):
        moments: NDArray[np.float64] = log.requests.at[codes]
        return moments
    in_visits = engaged.take(engaged.session >= 0)
    _, first = np.unique(in_visits.session, return_index=True)
    return in_visits.at[first]


def request_cases(
    log: EventLog, catalogue: Catalogue, since: float, surface: str, most: int, seed: int
) -> list[JudgedCase]:
    """Held-out searches or recommendations with at least one event, by time; `most` of them, drawn with the seed.

    An item's grade is the gain of the strongest event on it. Only what was shown could be clicked, so that a row which
    ranks like the policy that wrote the log is favoured.
    """
    wanted = [bool(query) == (surface == "search") for query in log.requests.query]
    outcomes = _outcomes(log.events.engaged, "request")
    codes = [code for code in sorted(outcomes) if log.requests.at[code] >= since and wanted[code]]
    bought, groups = _Purchases(log.events), Groups.of(catalogue.group)
    cases = []
    for code in _drawn(codes, most, seed):
        allowed, at, user = catalogue.available.copy(), float(log.requests.at[code]), int(log.requests.user[code])
        if surface == "recommend":
            allowed &= ~np.isin(groups.code, groups.code[bought.before(user, at)])
        grades = _grades(outcomes[code], allowed, groups)
        if grades.any():
            requests = log.requests
            query, scene, device = requests.query[code], requests.scene[code], requests.device[code]
            cases.append(JudgedCase(query, user, scene, grades, allowed, at, device, groups=groups))
    return cases


def visit_cases(log: EventLog, catalogue: Catalogue, since: float, most: int, seed: int) -> list[JudgedCase]:
    """Held-out visits as requests for similar items: the first item stands for the seed, the others are relevant.

    This is held-out co-engagement: what shoppers looked at, put in the cart or bought in the same visit.
    """
    engaged = log.events.engaged
    late = engaged.take((engaged.session >= 0) & (engaged.at >= since))
    scenes = ["", *log.scenes]
    first: dict[int, int] = {}
    for place, session in enumerate(late.session.tolist()):
        first.setdefault(session, place)
    outcomes, groups = _outcomes(late, "session"), Groups.of(catalogue.group)
    cases = []
    for session in _drawn([code for code in sorted(outcomes) if len(outcomes[code]) > 1], most, seed):
        start = first[session]
        like, at = int(late.row[start]), float(late.at[start])
        allowed = catalogue.available & (groups.code != groups.code[like])
        grades = _grades(outcomes[session], allowed, groups)
        if grades.any():
            scene = scenes[int(late.scene[start]) + 1]
            cases.append(JudgedCase("", int(late.user[start]), scene, grades, allowed, at, seed=like, groups=groups))
    return cases


def impression_lists(log: EventLog, since: float, most: int, seed: int) -> list[ImpressionList]:
    """Held-out lists as shown, clicked or not, by time: `most` of them, and at most LISTED first items of each."""
    events = log.events
    late = events.take((events.request >= 0) & (events.at >= since))
    outcomes = _outcomes(late.engaged, "request")
    listed = late.take(late.kind == IMPRESSION)
    listed = listed.take(np.lexsort((listed.position, listed.request)))
    codes, starts = np.unique(listed.request, return_index=True)
    ends = np.append(starts[1:], len(listed))
    drawn = _drawn(list(range(len(codes))), most, seed)
    lists = [_shown(int(codes[n]), listed, slice(starts[n], ends[n]), outcomes) for n in drawn]
    return sorted(lists, key=lambda one: float(log.requests.at[one.request]))


def _shown(code: int, listed: Events, part: slice, outcomes: dict[int, dict[int, int]]) -> ImpressionList:
    rows = listed.row[part][:LISTED]
    outcome = np.array([outcomes.get(code, {}).get(row, 0) for row in rows.tolist()], np.int8)
    return ImpressionList(code, rows, listed.position[part][:LISTED], outcome)


def _outcomes(engaged: Events, by: str) -> dict[int, dict[int, int]]:
    """The strongest event on each item of each request (or session): code -> row -> event code."""
    strongest: dict[int, dict[int, int]] = {}
    codes = getattr(engaged, by)
    for code, row, kind in zip(codes.tolist(), engaged.row.tolist(), engaged.kind.tolist(), strict=True):
        if code >= 0:
            items = strongest.setdefault(code, {})
            items[row] = stronger(kind, items.get(row, 0))
    return strongest


def _grades(outcomes: dict[int, int], allowed: NDArray[np.bool_], groups: Groups) -> NDArray[np.float32]:
    """Of the products that can be shown: by any variant, as they would be."""
    rows = np.array(list(outcomes), np.int32)
    shown = np.isin(groups.code[rows], groups.code[allowed])
    gains = np.array([GAIN[kind] for kind in outcomes.values()], np.float32)
    return product_grades(groups, rows[shown], gains[shown])


def _drawn(codes: list[int], most: int, seed: int) -> Iterator[int]:
    """`most` of the codes, in their order."""
    places = np.random.default_rng(seed).permutation(len(codes))[:most]
    return (codes[place] for place in np.sort(places).tolist())


class _Purchases:
    """What each user bought, by time."""

    def __init__(self, events: Events) -> None:
        bought = events.take(PURCHASED[events.kind] & (events.user >= 0))
        self._bought = bought.take(np.argsort(bought.user, kind="stable"))

    def before(self, user: int, at: float) -> NDArray[np.int32]:
        first, last = np.searchsorted(self._bought.user, [user, user + 1])
        rows: NDArray[np.int32] = self._bought.row[first:last][self._bought.at[first:last] < at]
        return rows
