"""Clauses that restrict a lexical query without changing its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from shopfuse.ranking.filter import ItemFilter
from shopfuse.recall.facets import facet_groups
from shopfuse.recall.selection import Selection, price_bound

ROW_FIELD, FACET_FIELD, PRICE_FIELD = "row", "facet", "price"

# Below FEW_ROWS selected rows, naming them is fastest; above BROAD_SHARE of the items, dropping hits after the search
# is: a mandatory clause keeps tantivy from skipping what cannot reach the top.
FEW_ROWS = 256
BROAD_SHARE = 0.5
TERM_SET_FROM = 2048  # a set of terms costs more to prepare and less to walk


def restricted(scoring: tantivy.Query, clauses: Sequence[tantivy.Query]) -> tantivy.Query:
    """Documents that match `scoring` and every clause, with the scores of `scoring`."""
    if not clauses:
        return scoring
    silent = [(tantivy.Occur.Must, tantivy.Query.const_score_query(clause, 0.0)) for clause in clauses]
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, scoring), *silent])


def with_rows(schema: tantivy.Schema, rows: NDArray[np.int32]) -> tantivy.Query:
    return _any_of(schema, ROW_FIELD, rows.tolist())


def narrowing(schema: tantivy.Schema, selection: Selection) -> list[tantivy.Query]:
    """Clauses that every selected row meets. Others may, too: the selection's mask decides."""
    if selection.count <= FEW_ROWS:
        return [with_rows(schema, selection.rows)]
    if selection.wanted is None or selection.share > BROAD_SHARE:
        return []
    groups = facet_groups(selection.wanted)
    return [_any_of(schema, FACET_FIELD, keys) for keys in groups] + _price_range(schema, selection.wanted)


def _any_of(schema: tantivy.Schema, field: str, values: Sequence[int]) -> tantivy.Query:
    if len(values) >= TERM_SET_FROM:
        return tantivy.Query.term_set_query(schema, field, values)
    terms = [(tantivy.Occur.Should, tantivy.Query.term_query(schema, field, value, "basic")) for value in values]
    return tantivy.Query.boolean_query(terms)


def _price_range(schema: tantivy.Schema, wanted: ItemFilter) -> list[tantivy.Query]:
    prices = (wanted.min_price, wanted.max_price)
    bounds: list[Any] = [None if price is None else float(price_bound(price)) for price in prices]
    if bounds == [None, None]:
        return []
    return [tantivy.Query.range_query(schema, PRICE_FIELD, tantivy.FieldType.Float, *bounds)]
