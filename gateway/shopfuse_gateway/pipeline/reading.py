"""How the words of a request are read by the release that answers it, and how that is told to the caller.

Prices that the words name tighten the filter here, so that every later stage sees one filter. Nothing is looked up.
"""

from __future__ import annotations

from dataclasses import replace

from shopfuse.ranking.channels import SEARCH
from shopfuse.ranking.filter import ItemFilter
from shopfuse.recall.matching.match_set import MatchSet
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.recall.words.query_reading import ReadQuery
from shopfuse.recall.words.units import told_quantities
from shopfuse.v1 import search_pb2
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.releases.engine import Engine


def read_words(engine: Engine, call: Call) -> Call:
    """The call with its words read. A caller's own candidates are neither filtered by words nor excluded."""
    request = call.request
    if not request.query:
        return call
    reading = engine.release.indexes[LEXICAL_INDEX].read(request.query, request.disable_correction)
    if request.surface == SEARCH:
        request = replace(request, item_filter=_tightened(request.item_filter, reading))
    return replace(call, request=request, reading=reading)


def _tightened(item_filter: ItemFilter, reading: ReadQuery) -> ItemFilter:
    """The filter with the prices that the query names: both must hold."""
    if reading.min_price is None and reading.max_price is None:
        return item_filter
    low = [price for price in (item_filter.min_price, reading.min_price) if price is not None]
    high = [price for price in (item_filter.max_price, reading.max_price) if price is not None]
    return replace(item_filter, min_price=max(low, default=None), max_price=min(high, default=None))


def interpretation(reading: ReadQuery, matched: MatchSet | None) -> search_pb2.QueryInterpretation:
    """What a caller is told of it, and which of its words what matched does without."""
    return search_pb2.QueryInterpretation(
        corrected_query=reading.corrected,
        brands=reading.brands,
        categories=reading.categories,
        quantities=[
            search_pb2.Quantity(text=text, value=quantity.value, unit=quantity.kind)
            for text, quantity in told_quantities(reading.asked)
        ],
        min_price=reading.min_price,
        max_price=reading.max_price,
        excluded_words=reading.unwanted_words,
        relaxed_words=matched.relaxed if matched else (),
        completed_words=reading.completed,
    )
