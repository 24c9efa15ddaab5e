"""Items by how much they are met: head, torso and tail hold a third of all events each, some items hold none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.report.bench import FUSED
from shopfuse.evaluation.report.cold_users import BEHAVIOUR_ONLY
from shopfuse.evaluation.report.context import SURFACE_NAMES, Context
from shopfuse.evaluation.report.rankings import K, Scored, recall_of
from shopfuse.evaluation.report.section import Bars, Cell, Estimate, Table
from shopfuse.metrics.diversity import exposure

SLICES = ("head", "torso", "tail", "never met")
ROWS = (FUSED, BEHAVIOUR_ONLY, "popularity", "item_knn", "bm25", "semantic", "weighted")


def slice_of(interactions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of SLICES each item [N] is in. Ties are broken by row."""
    order = np.argsort(-interactions, kind="stable")
    before = np.cumsum(interactions[order]) - interactions[order]  # events on the items that are met more
    place = np.minimum(3 * before // max(int(interactions.sum()), 1), 2)
    slices = np.zeros(len(interactions), np.int64)
    slices[order] = place
    slices[interactions == 0] = SLICES.index("never met")
    return slices


def head_and_tail(context: Context, part: Scored) -> tuple[Bars, Table]:
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
        shown = exposure([ranking[:K] for ranking in part.rankings[name]], len(catalogue))
        share = float(shown[slices == place].sum()) / max(int(shown.sum()), 1)
        cells.append((SLICES[place], int((slices == place).sum()), name, recalled[name][place], share))
    columns = ("slice", "items", "row", "recall@100", "share of the first ten places")
    return plot, Table(title, columns, tuple(cells))


def _recall(context: Context, part: Scored, name: str, chosen: NDArray[np.bool_]) -> Estimate | None:
    """Over the cases that want an item of the slice; None where there is none."""
    values = [
        recall_of(np.where(chosen, case.grades, 0.0).astype(np.float32), ranking)
        for case, ranking in zip(part.cases.cases, part.rankings[name], strict=True)
        if (case.grades[chosen] > 0).any()
    ]
    return context.mean(np.array(values, np.float64)) if values else None
