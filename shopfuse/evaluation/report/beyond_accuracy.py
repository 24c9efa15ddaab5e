"""Section: what the lists are like beside being right: coverage, evenness, novelty and variety."""

from __future__ import annotations

import numpy as np

from shopfuse.evaluation.report.bench import FUSED, SIMPLE, SURFACES
from shopfuse.evaluation.report.context import SOURCES, SURFACE_NAMES, ReportContext
from shopfuse.evaluation.report.rankings import K, ScoredCases
from shopfuse.evaluation.report.section import Bars, Estimate, Section, Table
from shopfuse.metrics.diversity import coverage, entropy, exposure, gini, intra_list_diversity, novelty, surprise

_READING = (
    "Of the first ten items of every list: coverage is the share of the available items that any list shows, Gini how "
    "unevenly they share the places (0 evenly, 1 one item has all), novelty the mean -log2 of an item's share of all "
    "events (bits; higher is less known), diversity the mean 1 - cosine of the text embeddings over the pairs of a "
    "list, and entropy how many categories it mixes (bits). More is not better by itself: read it beside quality. "
    "Coverage and Gini are of the whole set of lists and depend on how many lists there are."
)


def beyond_accuracy_section(context: ReportContext) -> Section:
    parts = [part for surface in SURFACES if (part := context.of(surface)) is not None]
    return Section(
        key="beyond-accuracy",
        title="Beyond accuracy",
        reading=_READING,
        provenance=context.provenance(*(f"{len(part.cases)} lists of {part.cases.name}" for part in parts)),
        plots=tuple(_plot(context, part) for part in parts),
        tables=tuple(_table(context, part) for part in parts),
        missing=() if parts else ("lists: there is no case to rank",),
    )


def _table(context: ReportContext, part: ScoredCases) -> Table:
    rows = [(name, *_measured(context, part, name)) for name in _rows(part)]
    columns = ("row", "coverage", "Gini", "novelty (bits)", "diversity", "category entropy (bits)")
    title = f"{SURFACE_NAMES[part.cases.surface].capitalize()}, lists asked for by {SOURCES[part.cases.source]}"
    return Table(title, columns, tuple(rows))


def _plot(context: ReportContext, part: ScoredCases) -> Bars:
    rows = _rows(part)
    measured = [_measured(context, part, name) for name in rows]
    series = {
        "coverage": tuple(_exactly(float(row[0])) for row in measured),
        "Gini": tuple(_exactly(float(row[1])) for row in measured),
        "diversity": tuple(row[3] for row in measured),
    }
    return Bars(SURFACE_NAMES[part.cases.surface].capitalize(), "0 to 1", rows, series)


def _rows(part: ScoredCases) -> tuple[str, ...]:
    return (FUSED, *SIMPLE[part.cases.surface])


def _exactly(value: float) -> Estimate:
    return Estimate(value, value, value, 1)


def _measured(
    context: ReportContext, part: ScoredCases, name: str
) -> tuple[float, float, Estimate, Estimate, Estimate]:
    """Coverage, Gini, novelty, diversity, entropy of the first K items of a row's lists."""
    bench = context.bench
    world, catalogue = bench.world(part.cases.source), bench.catalogue
    lists = [ranking[:K] for ranking in part.rankings[name]]
    exposures = exposure(lists, len(catalogue))[catalogue.available]
    events = world.log.events.before(world.at).engaged
    bits = surprise(np.bincount(events.row, minlength=len(catalogue)))
    each = [
        (
            novelty(rows, bits),
            intra_list_diversity(world.text_vectors[rows]),
            entropy(catalogue.category[rows]),
        )
        for rows in lists
    ]
    columns = np.array(each, np.float64).reshape(len(lists), 3).T
    novel, varied, mixed = (context.mean(column) for column in columns)
    return coverage(exposures), gini(exposures), novel, varied, mixed
