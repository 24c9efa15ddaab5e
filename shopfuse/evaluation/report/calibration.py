"""Section: do the ranker's probabilities of a click, a cart and a purchase come true on held-out impressions?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.report.context import ReportContext
from shopfuse.evaluation.report.judged_lists import JudgedLists
from shopfuse.evaluation.report.section import Cell, Estimate, Line, Lines, Section, Table
from shopfuse.metrics.auc import auc
from shopfuse.metrics.calibration import (
    expected_calibration_error,
    log_loss,
    observed_ratio,
    observed_ratio_interval,
    reliability,
    wilson_interval,
)
from shopfuse.ranking.tensors import TASKS
from shopfuse.ranking.user_state import CARTED, CLICKED, PURCHASED

FIRST_SLOT, ALL_SLOTS = "first slot", "all slots"
BINS = 10
REACHED = {"click": CLICKED, "cart": CARTED, "purchase": PURCHASED}  # by the code of the strongest event
_READING = (
    "On held-out lists, clicked or not. Served probabilities read 'if shown first', so the first slot is where they "
    "should come true (on the diagonal; ratio 1; ECE 0); over all slots they promise more than happens, for shoppers "
    "look at lower places less. ECE takes 15 bins of equal size; the ratio is the sum of predictions over the number "
    "of events, its interval a bootstrap over lists; bands are Wilson intervals. AUC is of telling impressions apart."
)


@dataclass(frozen=True, slots=True)
class TaskImpressions:
    """Shown items of one task: [n] each."""

    task: str
    where: str
    probability: NDArray[np.float32]
    happened: NDArray[np.bool_]
    of_list: NDArray[np.int64]


def calibration_section(context: ReportContext, judged: JudgedLists | None) -> Section:
    reason = _why_not(judged)
    parts = [] if judged is None or reason else list(impressions(judged))
    empty = [f"{part.task}, {part.where}: it never happened" for part in parts if not part.happened.any()]
    seen = [part for part in parts if part.happened.any()]
    count = 0 if judged is None else len(judged.data)
    late = context.bench.held_out
    return Section(
        key="calibration",
        title="Calibration",
        reading=_READING,
        provenance=context.provenance(f"{count} lists", "nothing held out" if late is None else late.what),
        plots=tuple(_plot(task, [part for part in seen if part.task == task]) for task in REACHED if _of(seen, task)),
        tables=(_table(context, seen),) if seen else (),
        missing=(*([reason] if reason else []), *empty),
    )


def _why_not(judged: JudgedLists | None) -> str:
    if judged is None:
        return "probabilities: no list is held out"
    if not judged.probabilities[..., [TASKS.index(task) for task in REACHED]].any():
        return "probabilities: this shop's ranker is a score-level fusion, which gives relevance and no probability"
    return ""


def impressions(judged: JudgedLists) -> Iterator[TaskImpressions]:
    """The impressions of every task, at the first slot and at all slots."""
    lists = judged.data.lists
    for task, reached in REACHED.items():
        for where, chosen in ((FIRST_SLOT, lists.position == 0), (ALL_SLOTS, lists.position >= 0)):
            of_list, slot = np.nonzero(chosen & (lists.rows >= 0))
            probability = judged.probabilities[of_list, slot, TASKS.index(task)]
            yield TaskImpressions(task, where, probability, reached[lists.outcome[of_list, slot]], of_list)


def _of(parts: list[TaskImpressions], task: str) -> bool:
    return any(part.task == task for part in parts)


def _plot(task: str, parts: list[TaskImpressions]) -> Lines:
    lines = tuple(_curve(part) for part in parts)
    return Lines(f"{task.capitalize()}: predicted and observed", "predicted", "observed", lines, diagonal=True)


def _curve(part: TaskImpressions) -> Line:
    table = reliability(part.probability, part.happened, BINS)
    points = [
        Estimate(float(share), *wilson_interval(round(share * count), count), int(count))
        for share, count in zip(table.observed, table.count.tolist(), strict=True)
    ]
    return Line(part.where, tuple(table.predicted.tolist()), tuple(points))


def _table(context: ReportContext, parts: list[TaskImpressions]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for part in parts:
        low, high = observed_ratio_interval(part.probability, part.happened, part.of_list, seed=context.seed)
        happened = int(part.happened.sum())
        ratio = Estimate(observed_ratio(part.probability, part.happened), low, high, happened)
        rows.append(
            (
                part.task,
                part.where,
                len(part.probability),
                happened,
                ratio,
                expected_calibration_error(part.probability, part.happened),
                auc(part.probability, part.happened),
                log_loss(part.probability, part.happened),
            )
        )
    columns = ("task", "where", "impressions", "events", "predicted / observed", "ECE", "AUC", "log loss")
    return Table("Every task", columns, tuple(rows))
