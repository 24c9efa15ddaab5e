"""Section: how good the fused ranker's lists are, beside what needs no training, on every surface."""

from __future__ import annotations

from collections.abc import Sequence

from shopfuse.evaluation.report.bench import FUSED, SIMPLE, SURFACES
from shopfuse.evaluation.report.context import SOURCES, SURFACE_NAMES, ReportContext
from shopfuse.evaluation.report.rankings import ScoredCases
from shopfuse.evaluation.report.section import Bars, Cell, Section, Table

_READING = (
    "NDCG@10 of the fused ranker and of simple rows that know the same events and texts; whiskers are 95 % bootstrap "
    "intervals over cases. True relevance is the simulator's; held-out events are what shoppers did, who could only "
    "click what was shown to them: those figures are low for every row and favour rows like the logging policy. "
    "Similar items: true relevance is what the shoppers who want the seed want, too; held-out is what the same visit "
    "went on to. The lead is paired, case by case."
)


def quality_section(context: ReportContext) -> Section:
    surfaces = [surface for surface in SURFACES if any(part.cases.surface == surface for part in context.scored)]
    return Section(
        key="quality",
        title="Quality",
        reading=_READING,
        provenance=context.provenance(context.cases_line(*SURFACES), _held_out_line(context)),
        plots=tuple(_plot(context, surface) for surface in surfaces),
        tables=tuple(_table(context, surface) for surface in surfaces),
        missing=tuple(_missing(context)),
    )


def _sets(context: ReportContext, surface: str) -> list[ScoredCases]:
    sets = (context.of(surface, source) for source in SOURCES)
    return [part for part in sets if part is not None]


def _rows(surface: str) -> tuple[str, ...]:
    return (FUSED, *SIMPLE[surface])


def _plot(context: ReportContext, surface: str) -> Bars:
    rows = _rows(surface)
    series = {
        SOURCES[part.cases.source]: tuple(context.mean(part.measures[name].ndcg) for name in rows)
        for part in _sets(context, surface)
    }
    return Bars(SURFACE_NAMES[surface].capitalize(), "NDCG@10", rows, series)


def _table(context: ReportContext, surface: str) -> Table:
    rows = [_row(context, part, name) for part in _sets(context, surface) for name in _rows(surface)]
    columns = ("measured on", "row", "NDCG@10", "recall@100", "MRR", "fused leads NDCG@10 by")
    return Table(SURFACE_NAMES[surface].capitalize(), columns, tuple(rows))


def _row(context: ReportContext, part: ScoredCases, name: str) -> tuple[Cell, ...]:
    own, fused = part.measures[name], part.measures[FUSED]
    lead = None if name == FUSED else context.mean(fused.ndcg - own.ndcg)
    values = (context.mean(own.ndcg), context.mean(own.recall), context.mean(own.reciprocal_rank))
    return (SOURCES[part.cases.source], name, *values, lead)


def _held_out_line(context: ReportContext) -> str:
    late = context.bench.held_out
    return "nothing held out" if late is None else f"held out: {late.what}"


def _missing(context: ReportContext) -> Sequence[str]:
    reasons = []
    sources = {part.cases.source for part in context.scored}
    if "truth" not in sources:
        reasons.append("true relevance, which only a simulated shop knows")
    if "held-out" not in sources:
        reasons.append("held-out events: the log has too few requests with a click")
    reasons += [
        f"{SURFACE_NAMES[surface]}: no case of it, neither in the log nor judged"
        for surface in SURFACES
        if not _sets(context, surface)
    ]
    return reasons
