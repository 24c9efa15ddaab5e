"""What the lexical index holds of an item and how a query becomes clauses: the one place where the recipe lives.

Queries are built from analysed words, never parsed: any text is a query, and no character is an operator.
"""

from __future__ import annotations

import math

import tantivy

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.analysis import Analyser

TEXT_FIELDS = ("title", "brand", "category", "description", "attributes")
ANALYSER = "shop_text"
OTHER_FIELDS = 0.1  # what a word adds in fields other than its best one
SAYS_NOTHING = frozenset(("y", "n", "yes", "no", "true", "false", "not available", "not applicable", "none", "n/a"))
MAX_QUERY_WORDS = 32
MAX_QUERY_CHARACTERS = 2048


def indexed_texts(item: CatalogueItem) -> dict[str, str]:
    """The text of each of TEXT_FIELDS."""
    return {
        "title": item.title,
        "brand": item.brand or "",
        "category": " ".join(item.category),
        "description": item.description,
        "attributes": " ".join(value for _, value in item.attributes if _telling(value)),
    }


def _telling(value: str) -> bool:
    """False for numbers and for words that only answer yes or no: nobody means a product by them."""
    return any(char.isalpha() for char in value) and value.casefold() not in SAYS_NOTHING


def query_words(analyser: Analyser, query: str) -> list[str]:
    """The distinct analysed words of a query in their order, at most 32."""
    return list(dict.fromkeys(analyser.words(query[:MAX_QUERY_CHARACTERS])))[:MAX_QUERY_WORDS]


def scoring_query(schema: tantivy.Schema, words: list[str]) -> tantivy.Query:
    """Any word may match. Each adds its BM25 in the field where that is highest, and a tenth of the other fields'."""
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, _word_query(schema, word)) for word in words])


def coverage_query(schema: tantivy.Schema, searcher: tantivy.Searcher, words: list[str]) -> tantivy.Query:
    """Scores an item by the idf of the words that it holds in any field, as a share of all words' idf."""
    counts = [max(searcher.doc_freq(field, word) for field in TEXT_FIELDS) for word in words]
    idf = [math.log1p((searcher.num_docs - count + 0.5) / (count + 0.5)) for count in counts]
    shares = [weight / max(sum(idf), 1e-9) for weight in idf]
    clauses = [
        tantivy.Query.const_score_query(_anywhere(schema, word), share)
        for word, share in zip(words, shares, strict=True)
    ]
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, clause) for clause in clauses])


def _anywhere(schema: tantivy.Schema, word: str) -> tantivy.Query:
    fields = [tantivy.Query.term_query(schema, field, word, "basic") for field in TEXT_FIELDS]
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, field) for field in fields])


def _word_query(schema: tantivy.Schema, word: str) -> tantivy.Query:
    fields = [tantivy.Query.term_query(schema, field, word, "freq") for field in TEXT_FIELDS]
    return tantivy.Query.disjunction_max_query(fields, OTHER_FIELDS)
