"""Section: where the fused ranker is good and where it is not: by device, scene, shopper, query and category."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shopfuse.evaluation.offline.judged_cases import JudgedCase
from shopfuse.evaluation.offline.offline_shop import World
from shopfuse.evaluation.report.bench import FUSED, SURFACES
from shopfuse.evaluation.report.context import SOURCES, SURFACE_NAMES, ReportContext
from shopfuse.evaluation.report.rankings import ScoredCases
from shopfuse.evaluation.report.section import FEW, Bars, Cell, Section, Table
from shopfuse.ranking.item import CATEGORY_SEPARATOR

BESIDE = "weighted"  # the score-level fusion that a shop starts on
MOST_CATEGORIES = 12  # the most frequent ones; the others together
OTHERS, UNKNOWN = "others", "unknown"
_READING = (
    "NDCG@10 of the fused ranker by segment, with the number of cases and 95 % intervals, and its paired lead over the "
    f"score-level fusion '{BESIDE}'. Segments of fewer than {FEW} cases are marked: they say little. With so many "
    "segments some differ by chance; a segment is worth a look where its interval leaves the others'."
)


@dataclass(frozen=True, slots=True)
class Cut:
    """One way to cut cases into segments; `of` names a case's segment."""

    name: str
    of: Callable[[JudgedCase], str]


def segments_section(context: ReportContext) -> Section:
    parts = [part for surface in SURFACES for source in SOURCES if (part := context.of(surface, source)) is not None]
    tables = [_table(context, part) for part in parts]
    main = [part for surface in SURFACES if (part := context.of(surface)) is not None]
    devices = {case.device for part in parts for case in part.cases.cases} - {""}
    scenes = {case.scene for part in parts for case in part.cases.cases} - {""}
    missing = [] if devices else ["devices: no held-out request names one"]
    missing += [] if scenes else ["scenes: every case is of an ordinary day"]
    return Section(
        key="segments",
        title="Segments",
        reading=_READING,
        provenance=context.provenance(context.cases_line(*SURFACES)),
        plots=tuple(_plot(context, part) for part in main),
        tables=tuple(tables),
        missing=tuple(missing),
    )


def cuts(world: World, part: ScoredCases) -> list[Cut]:
    """The ways to cut these cases that mean something on their surface."""
    ways = [
        Cut("device", lambda case: case.device or UNKNOWN),
        Cut("scene", lambda case: case.scene or "ordinary day"),
        Cut("shopper", lambda case: _knownness(world, case)),
        Cut("activity", lambda case: _activity(_events(world, case))),
        Cut("category", _categories(world, part)),
    ]
    if part.cases.surface == "search":
        ways.append(Cut("query length", lambda case: _words(len(case.query.split()))))
    return ways


def _events(world: World, case: JudgedCase) -> int:
    return len(world.histories.entries(case.user, world.at if case.at is None else case.at))


def _knownness(world: World, case: JudgedCase) -> str:
    return "known" if _events(world, case) else "new"


def _activity(events: int) -> str:
    edges = ((0, "no event"), (3, "1 to 3 events"), (10, "4 to 10 events"), (30, "11 to 30 events"))
    return next((name for most, name in edges if events <= most), "more than 30 events")


def _words(count: int) -> str:
    return f"{count} words" if count > 1 else "1 word"


def _categories(world: World, part: ScoredCases) -> Callable[[JudgedCase], str]:
    """The category that holds most of what a case wants, by gain; rare ones together."""
    paths = world.catalogue.frame["category"].to_list()
    names = [CATEGORY_SEPARATOR.join(path[:2]) if path else UNKNOWN for path in paths]
    wanted = {id(case): _main_category(case, names) for case in part.cases.cases}
    counts: dict[str, int] = {}
    for name in wanted.values():
        counts[name] = counts.get(name, 0) + 1
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_CATEGORIES]
    return lambda case: wanted[id(case)] if wanted[id(case)] in frequent else OTHERS


def _main_category(case: JudgedCase, names: list[str]) -> str:
    gains: dict[str, float] = {}
    for row in np.flatnonzero(case.grades > 0).tolist():
        gains[names[row]] = gains.get(names[row], 0.0) + float(case.grades[row])
    return max(sorted(gains), key=lambda name: gains[name], default=UNKNOWN)


def _segments(context: ReportContext, part: ScoredCases) -> list[tuple[str, str, list[int]]]:
    """(cut, segment, places of its cases), cuts with one segment left out."""
    segments = []
    for cut in cuts(context.bench.world(part.cases.source), part):
        places: dict[str, list[int]] = {}
        for place, case in enumerate(part.cases.cases):
            places.setdefault(cut.of(case), []).append(place)
        if len(places) > 1:
            segments += [(cut.name, name, places[name]) for name in sorted(places)]
    return segments


def _table(context: ReportContext, part: ScoredCases) -> Table:
    fused, beside = part.measures[FUSED], part.measures[BESIDE]
    rows: list[tuple[Cell, ...]] = []
    for cut, name, places in _segments(context, part):
        lead = context.mean((fused.ndcg - beside.ndcg)[places])
        rows.append(
            (cut, name, len(places), context.mean(fused.ndcg[places]), context.mean(fused.recall[places]), lead)
        )
    columns = ("cut", "segment", "cases", "NDCG@10", "recall@100", f"leads '{BESIDE}' by")
    title = f"{SURFACE_NAMES[part.cases.surface].capitalize()}, {SOURCES[part.cases.source]}"
    return Table(title, columns, tuple(rows))


def _plot(context: ReportContext, part: ScoredCases) -> Bars:
    segments = _segments(context, part)
    labels = tuple(f"{cut}: {name} ({len(places)})" for cut, name, places in segments)
    values = tuple(context.mean(part.measures[FUSED].ndcg[places]) for _, _, places in segments)
    title = f"{SURFACE_NAMES[part.cases.surface].capitalize()}, {SOURCES[part.cases.source]}"
    return Bars(title, "NDCG@10 of the fused ranker", labels, {"NDCG@10": values})
