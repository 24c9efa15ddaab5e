"""Stage "facets": the counts beside a search's list, of all that matches and not of the page alone. Only where they
are asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

import numpy as np

from shopfuse.recall.matching.facet_counts import FacetCount, FacetSpec, count_facets
from shopfuse.v1 import search_pb2
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.pipeline.recall import Recalled, excluded_rows
from shopfuse_gateway.pipeline.request import FACET_FIELDS
from shopfuse_gateway.releases.engine import Engine

log = logging.getLogger(__name__)

SHARE = 0.8  # of the time left: the answer needs the rest
FIELD_NUMBERS = {name: number for number, name in FACET_FIELDS.items()}


async def facets(engine: Engine, call: Call, recalled: Recalled) -> list[search_pb2.Facet]:
    """One for each spec, in their order; without values where counting failed or was late (degraded)."""
    specs = call.request.facets
    if not specs:
        return []
    with call.trace.stage("facets"):
        return _as_messages(specs, await _counted(engine, call, recalled) or [[] for _ in specs])


def no_counts(specs: Sequence[FacetSpec]) -> list[search_pb2.Facet]:
    """Of a search that nothing matches."""
    return _as_messages(specs, [[] for _ in specs])


async def _counted(engine: Engine, call: Call, recalled: Recalled) -> list[list[FacetCount]] | None:
    """In a thread: over a large catalogue it takes milliseconds. None where there is nothing to count."""
    request, items = call.request, engine.release.indexes.items
    if request.query and recalled.matched is None:
        call.trace.degrade("facets", "NO_MATCHES")  # recall has said why
        return None
    rows = recalled.matched.rows if recalled.matched else np.sort(recalled.rows)
    select = partial(items.select, excluded_rows=excluded_rows(engine, call))
    future = asyncio.get_running_loop().run_in_executor(
        engine.threads,
        count_facets,
        *(engine.release.matching.facets, items, request.facets, rows, request.item_filter, select),
    )
    await asyncio.wait([future], timeout=call.deadline.budget_s(SHARE))
    if future.done() and (error := future.exception()) is None:
        return future.result()
    if future.done():
        log.error("facets failed", exc_info=error)
        call.trace.degrade("facets", "FACETS_FAILED")
        return None
    future.cancel()
    call.trace.degrade("facets", "FACETS_LATE")
    return None


def _as_messages(specs: Sequence[FacetSpec], counted: Sequence[Sequence[FacetCount]]) -> list[search_pb2.Facet]:
    return [
        search_pb2.Facet(
            field=FIELD_NUMBERS[spec.field],
            attribute=spec.attribute,
            values=[
                search_pb2.FacetValue(
                    value=one.name,
                    count=one.count,
                    selected=one.selected,
                    min_price=one.min_price,
                    max_price=one.max_price,
                )
                for one in counts
            ],
        )
        for spec, counts in zip(specs, counted, strict=True)
    ]
