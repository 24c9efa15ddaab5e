"""Section: shoppers of whom little is known, items that nobody has met, and items by how much they are met."""

from __future__ import annotations

from shopfuse.evaluation.report.cold_items import COLD_SHARE, cold_items
from shopfuse.evaluation.report.cold_users import DEPTHS, cold_users
from shopfuse.evaluation.report.context import Context
from shopfuse.evaluation.report.item_slices import head_and_tail
from shopfuse.evaluation.report.section import Section

_READING = (
    "Shoppers: those with at least ten events, of whom only the newest 0, 1, 3 and 10 are kept; the same shoppers at "
    "every point. Items: a tenth of the items is made new, drawn with the seed: no event, no behaviour vector. They "
    "are ranked among themselves (as on a page of new arrivals) and found in the whole catalogue. Behaviour-only is "
    "the fused ranker with text and image masked; about new items it knows nothing, so that it shows what chance "
    "gives. Head, torso and tail hold a third of all events each. The models are the same everywhere."
)


def cold_start_section(context: Context) -> Section:
    users, items = cold_users(context), cold_items(context)
    parts = [part for surface in ("recommend", "search") if (part := context.of(surface)) is not None]
    slices = [head_and_tail(context, part) for part in parts]
    shown = [pair for pair in (users, items, *slices) if pair is not None]
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
        plots=tuple(plot for plot, _ in shown),
        tables=tuple(table for _, table in shown),
        missing=tuple(missing),
    )
