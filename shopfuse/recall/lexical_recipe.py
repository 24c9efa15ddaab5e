"""What the lexical index holds of an item and how a query becomes clauses: the one place where the recipe lives.

Queries are built from analysed words, never parsed: any text is a query, and no character is an operator. What
restricts a query to a selection changes no scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from shopfuse.ranking.filter import ItemFilter
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.facets import facet_groups
from shopfuse.recall.selection import Selection, price_bound
from shopfuse.recall.words.query_reading import QueryWord

TEXT_FIELDS = ("title", "brand", "category", "description", "attributes")
ANALYSER = "shop_text"
HALF = 0.5
OTHER_FIELDS = 0.1  # what a word adds in fields other than its best one
SAYS_NOTHING = frozenset(("y", "n", "yes", "no", "true", "false", "not available", "not applicable", "none", "n/a"))

ROW_FIELD, FACET_FIELD, PRICE_FIELD = "row", "facet", "price"

# Below FEW_ROWS selected rows, naming them is fastest; above BROAD_SHARE of the items, dropping hits after the search
# is: a mandatory clause keeps tantivy from skipping what cannot reach the top.
FEW_ROWS = 256
BROAD_SHARE = 0.5
TERM_SET_FROM = 2048  # a set of terms costs more to prepare and less to walk


def indexed_texts(item: CatalogueItem) -> dict[str, str]:
    """The text of each of TEXT_FIELDS."""
    return {
        "title": item.title,
        "brand": item.brand or "",
        "category": " ".join(item.category),
        "description": item.description,
        "attributes": " ".join(value for _, value in item.attributes if _telling(value)),
    }


def telling_text(item: CatalogueItem) -> str:
    """Beside the title, the fields whose words are worth correcting to."""
    return " ".join((item.brand or "", *item.category))


def _telling(value: str) -> bool:
    """False for numbers and for words that only answer yes or no: nobody means a product by them."""
    return any(char.isalpha() for char in value) and value.casefold() not in SAYS_NOTHING


def scoring_query(schema: tantivy.Schema, searcher: tantivy.Searcher, words: Sequence[QueryWord]) -> tantivy.Query:
    """Any word may match, in its best spelling. Each term adds its BM25 in the field where that is highest, and a tenth
    of the other fields'."""

    def scored(word: QueryWord) -> tantivy.Query:
        forms = [_all([_term_query(schema, searcher, term) for term in form]) for form in word.forms]
        halves = [tantivy.Query.boost_query(_term_query(schema, searcher, term), HALF) for term in word.halves]
        return _best([*forms, _any(halves)] if halves else forms)

    return _any([scored(word) for word in words])


def coverage_query(schema: tantivy.Schema, searcher: tantivy.Searcher, words: Sequence[QueryWord]) -> tantivy.Query:
    """Scores an item by the idf of the words that it holds in any field, as a share of all words' idf."""

    def held(word: QueryWord, share: float) -> tantivy.Query:
        forms = [_all([anywhere(schema, searcher, term) for term in form]) for form in word.forms]
        halves = [tantivy.Query.const_score_query(anywhere(schema, searcher, h), HALF * share) for h in word.halves]
        whole = tantivy.Query.const_score_query(_any(forms), share)
        return _best([whole, _any(halves)]) if halves else whole

    counts = [items_with(searcher, word) for word in words]
    idf = [math.log1p((searcher.num_docs - count + 0.5) / (count + 0.5)) for count in counts]
    shares = [weight / max(sum(idf), 1e-9) for weight in idf]
    return _any([held(word, share) for word, share in zip(words, shares, strict=True)])


def holding_all(schema: tantivy.Schema, searcher: tantivy.Searcher, terms: Sequence[str]) -> tantivy.Query:
    """Items that hold every indexed word, each in any field."""
    return _all([anywhere(schema, searcher, term) for term in terms])


def side_by_side(schema: tantivy.Schema, searcher: tantivy.Searcher, terms: Sequence[str]) -> tantivy.Query:
    """Items with a field that has the indexed words one after the other."""
    fields = [field for field in TEXT_FIELDS if all(searcher.doc_freq(field, term) for term in terms)]
    if len(terms) == 1 or not fields:
        return holding_all(schema, searcher, terms)
    return _any([tantivy.Query.phrase_query(schema, field, list(terms)) for field in fields])


def items_with(searcher: tantivy.Searcher, word: QueryWord) -> int:
    """About how many items hold a word in its most frequent spelling."""
    return max(min(term_frequency(searcher, term) for term in form) for form in word.forms)


def term_frequency(searcher: tantivy.Searcher, term: str) -> int:
    """How many items hold an indexed word in the field where most hold it."""
    return max(int(searcher.doc_freq(field, term)) for field in TEXT_FIELDS)


def terms_of(words: Sequence[QueryWord]) -> list[str]:
    """Distinct."""
    whole = (term for word in words for form in word.forms for term in form)
    return list(dict.fromkeys((*whole, *(term for word in words for term in word.halves))))


def restricted(scoring: tantivy.Query, clauses: Sequence[tantivy.Query]) -> tantivy.Query:
    """Documents that match `scoring` and every clause, with the scores of `scoring`."""
    if not clauses:
        return scoring
    silent = [(tantivy.Occur.Must, tantivy.Query.const_score_query(clause, 0.0)) for clause in clauses]
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, scoring), *silent])


def with_rows(schema: tantivy.Schema, rows: NDArray[np.int32]) -> tantivy.Query:
    return _any_value(schema, ROW_FIELD, rows.tolist())


def narrowing(schema: tantivy.Schema, selection: Selection) -> list[tantivy.Query]:
    """Clauses that every selected row meets. Others may, too: the selection's mask decides."""
    if selection.count <= FEW_ROWS:
        return [with_rows(schema, selection.rows)]
    if selection.wanted is None or selection.share > BROAD_SHARE:
        return []
    groups = facet_groups(selection.wanted)
    return [_any_value(schema, FACET_FIELD, keys) for keys in groups] + _price_range(schema, selection.wanted)


def _any_value(schema: tantivy.Schema, field: str, values: Sequence[int]) -> tantivy.Query:
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


def _fields_with(searcher: tantivy.Searcher, term: str) -> list[str]:
    """Those where some item holds the term; looking there costs less than a clause that cannot match."""
    return [field for field in TEXT_FIELDS if searcher.doc_freq(field, term)] or [TEXT_FIELDS[0]]


def anywhere(schema: tantivy.Schema, searcher: tantivy.Searcher, term: str) -> tantivy.Query:
    return _any([tantivy.Query.term_query(schema, field, term, "basic") for field in _fields_with(searcher, term)])


def _term_query(schema: tantivy.Schema, searcher: tantivy.Searcher, term: str) -> tantivy.Query:
    fields = [tantivy.Query.term_query(schema, field, term, "freq") for field in _fields_with(searcher, term)]
    return tantivy.Query.disjunction_max_query(fields, OTHER_FIELDS)


def _best(queries: Sequence[tantivy.Query]) -> tantivy.Query:
    return queries[0] if len(queries) == 1 else tantivy.Query.disjunction_max_query(list(queries))


def _any(queries: Sequence[tantivy.Query]) -> tantivy.Query:
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def _all(queries: Sequence[tantivy.Query]) -> tantivy.Query:
    return queries[0] if len(queries) == 1 else tantivy.Query.boolean_query([(tantivy.Occur.Must, q) for q in queries])
