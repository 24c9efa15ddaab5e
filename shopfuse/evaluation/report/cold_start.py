"""Section: shoppers of whom little is known, items that nobody has met, and items by how much they are met."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.report.bench import FUSED
from shopfuse.evaluation.report.cold_items import COLD_SHARE, cold_items
from shopfuse.evaluation.report.cold_users import BEHAVIOUR_ONLY, DEPTHS, cold_users
from shopfuse.evaluation.report.context import SURFACE_NAMES, ReportContext
from shopfuse.evaluation.report.rankings import K, ScoredCases, recall_of
from shopfuse.evaluation.report.section import Bars, Cell, Estimate, Section, Table
from shopfuse.metrics.diversity import exposure

SLICES = ("head", "torso", "tail", "never met")
ROWS = (FUSED, BEHAVIOUR_ONLY, "popularity", "item_knn", "bm25", "semantic", "weighted")

_READING = (
    "Shoppers: those with at least ten events, of whom only the newest 0, 1, 3 and 10 are kept; the same shoppers at "
    "every point. Items: a tenth of the items is made new, drawn with the seed: no event, no behaviour vector. They "
    "are ranked among themselves (as on a page of new arrivals) and found in the whole catalogue. Behaviour-only is "
    "the fused ranker with text and image masked; about new items it knows nothing, so that it shows what chance "
    "gives. Head, torso and tail hold a third of all events each. The models are the same everywhere."
)


def cold_start_section(context: ReportContext) -> Section:
    users, items = cold_users(context), cold_items(context)
    parts = [part for surface in ("recommend", "search") if (part := context.of(surface)) is not None]
    slices = [head_and_tail(context, part) for part in parts]
    pairs = [pair for pair in (users, items, *slices) if pair is not None]
    missing = []
    if users is None:
        missing.append(f"shoppers with few events: no recommendation to a shopper with {max(DEPTHS)} events")
    if items is None:
        missing.append("new items: no case wants one of them")
    return Section(
        key="cold-start",
        title="Cold start, head and tail",
        reading=_READING,
        provenance=context.provenance(context.cases_line("recommend", "search"), f"new items: {COLD_SHARE:.0%}"),
        plots=tuple(plot for plot, _ in pairs),
        tables=tuple(table for _, table in pairs),
        missing=tuple(missing),
    )


def slice_of(interactions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of SLICES each item [N] is in. Ties are broken by row."""
    order = np.argsort(-interactions, kind="stable")
    before = np.cumsum(interactions[order]) - interactions[order]  # events on the items that are met more
    place = np.minimum(3 * before // max(int(interactions.sum()), 1), 2)
    slices = np.zeros(len(interactions), np.int64)
    slices[order] = place
    slices[interactions == 0] = SLICES.index("never met")
    return slices


def head_and_tail(context: ReportContext, part: ScoredCases) -> tuple[Bars, Table]:
    """Recall@100 of the relevant items of each slice, and the share of the first ten places that it is given."""
    world, catalogue = context.bench.world(part.cases.source), context.bench.catalogue
    met = np.bincount(world.log.events.before(world.at).engaged.row, minlength=len(catalogue))
    slices = slice_of(met)
    rows = [name for name in ROWS if name in part.rankings]
    recalled = {name: [_recall(context, part, name, slices == place) for place in range(len(SLICES))] for name in rows}
    title = f"{SURFACE_NAMES[part.cases.surface].capitalize()}: head, torso, tail"
    plot = Bars(
        title,
        "recall@100 of the slice's relevant items",
        SLICES,
        {name: tuple(recalled[name]) for name in rows[:4]},
    )
    cells: list[tuple[Cell, ...]] = []
    for place, name in ((place, name) for place in range(len(SLICES)) for name in rows):
        slots = exposure([ranking[:K] for ranking in part.rankings[name]], len(catalogue))
        share = float(slots[slices == place].sum()) / max(int(slots.sum()), 1)
        cells.append((SLICES[place], int((slices == place).sum()), name, recalled[name][place], share))
    columns = ("slice", "items", "row", "recall@100", "share of the first ten places")
    return plot, Table(title, columns, tuple(cells))


def _recall(context: ReportContext, part: ScoredCases, name: str, chosen: NDArray[np.bool_]) -> Estimate | None:
    """Over the cases that want an item of the slice; None where there is none."""
    values = [
        recall_of(np.where(chosen, case.grades, 0.0).astype(np.float32), ranking)
        for case, ranking in zip(part.cases.cases, part.rankings[name], strict=True)
        if (case.grades[chosen] > 0).any()
    ]
    return context.mean(np.array(values, np.float64)) if values else None
