"""The lexical channel: BM25 over the items' texts in a memory-mapped tantivy index.

A filtered search is as exact as one without a filter: the filter narrows the query, and the search goes on until
enough of the selected rows are found.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from shopfuse.core.atomic_files import sync_tree
from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.languages import DEFAULT_LANGUAGE
from shopfuse.recall.facets import item_facets
from shopfuse.recall.hits import NO_HITS, Hits, best
from shopfuse.recall.lexical_recipe import (
    ANALYSER,
    FACET_FIELD,
    PRICE_FIELD,
    ROW_FIELD,
    TEXT_FIELDS,
    anywhere,
    coverage_query,
    holding_all,
    indexed_texts,
    items_with,
    narrowing,
    restricted,
    scoring_query,
    side_by_side,
    telling_text,
    term_frequency,
    terms_of,
    with_rows,
)
from shopfuse.recall.selection import Selection, price_bound
from shopfuse.recall.words.analysis import CatalogueAnalyser
from shopfuse.recall.words.brands import CATEGORIES, category_names, write_brands
from shopfuse.recall.words.joints import Joints, further_words
from shopfuse.recall.words.knowledge import Vocabulary, WordKnowledge, read_knowledge, write_knowledge
from shopfuse.recall.words.lacking import Lacking, LackingItems
from shopfuse.recall.words.negations import Negations, PhraseCounts
from shopfuse.recall.words.query_reading import QueryReader, QueryWord
from shopfuse.recall.words.units import without_measures
from shopfuse.release.manifest import ReleaseError

# One thread and a large buffer give one segment with documents in row order up to a few million items; tantivy breaks
# ties by that order. Beyond, ties at the k-th place follow the segments.
WRITER_BYTES = 2_000_000_000
SPARE_HITS = 64
# To score given rows, naming them takes 1.3 us a row and taking all matches 0.2 us a match.
MATCHES_PER_ROW = 5
READ_QUERIES = 4096  # remembered
LACKING = "lacking"
NO_ROWS = np.zeros(0, np.int32)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field(ROW_FIELD, fast=True, indexed=True)
    builder.add_unsigned_field(FACET_FIELD, indexed=True)
    builder.add_float_field(PRICE_FIELD, fast=True)
    for field in TEXT_FIELDS:
        builder.add_text_field(field, tokenizer_name=ANALYSER, index_option="position")
    return builder.build()


def _document(row: int, item: CatalogueItem, analyser: CatalogueAnalyser, joints: Joints) -> tantivy.Document:
    document = tantivy.Document()
    document.add_unsigned(ROW_FIELD, row)
    for key in set(item_facets(item)):
        document.add_unsigned(FACET_FIELD, key)
    if item.price is not None:
        document.add_float(PRICE_FIELD, float(price_bound(item.price)))
    for field, text in indexed_texts(item).items():
        folded = analyser.folded(text)
        further = further_words(analyser.tokens(without_measures(folded)), joints, analyser.stem)
        for part in analyser.indexed(analyser.of(item.language).item_texts(folded, further), item.language):
            document.add_text(field, part)
    if item.sounds:
        document.add_text("title", " ".join(item.sounds))
    return document


def build_lexical(folder: Path, items: Iterable[CatalogueItem], language: str = DEFAULT_LANGUAGE, *others: str) -> None:
    """Writes the index of items in row order into `folder`, which must be absent or empty: of items in the first
    language, and in others where they say so. Raises UnknownLanguage.

    The items are gone through twice: how they write their words is known only when all have been read.
    """
    analyser = CatalogueAnalyser(language, *others)
    vocabulary = Vocabulary.of(analyser)
    for item in items:
        vocabulary.add(item, telling_text(item))
    joints = vocabulary.joints()
    folder.mkdir(parents=True, exist_ok=True)
    index = tantivy.Index(_schema(), path=str(folder), reuse=False)
    index.register_tokenizer(ANALYSER, analyser.indexer())
    writer = index.writer(heap_size=WRITER_BYTES, num_threads=1)
    lacking, paths = Lacking(analyser), set[tuple[str, ...]]()
    for row, item in enumerate(items):
        writer.add_document(_document(row, item, analyser, joints))
        lacking.add(row, item)
        paths.add(tuple(item.category))
    writer.commit()
    writer.wait_merging_threads()
    write_knowledge(folder, vocabulary, joints)
    names = category_names(paths, lambda name: [analyser.stem(word) for word in analyser.surface(name)])
    write_brands(folder, names, CATEGORIES)
    lacking.write(folder / LACKING)
    _finish(folder)


def _finish(folder: Path) -> None:
    for lock in folder.glob(".*.lock"):
        lock.unlink()
    sync_tree(folder)


class LexicalIndex:
    def __init__(self, index: tantivy.Index, knowledge: WordKnowledge, lacking: LackingItems) -> None:
        index.config_reader("manual")  # a release never changes: no thread that watches the folder
        self.analyser = knowledge.analyser
        self._schema = index.schema
        self._searcher = index.searcher()
        frequency = partial(term_frequency, self._searcher)
        self._lacking = lacking
        negations = Negations(knowledge.analyser.language, *knowledge.analyser.others)
        reader = QueryReader(knowledge, negations, frequency, self._together, self._phrase_counts)
        self.read = lru_cache(READ_QUERIES)(reader.read)  # a request needs it several times
        self.unwanted = lru_cache(READ_QUERIES)(self._unwanted)
        # Some missing files and fields show at the first search only.
        self._run(self._scoring([QueryWord((("a",),))]), 1)

    @classmethod
    def open(cls, folder: Path) -> LexicalIndex:
        """Raises ReleaseError naming the folder where there is no whole index, or one of other words than ours.

        tantivy takes a lock file even to read. It lies beside links to the files, for a release may be read-only. The
        links live as long as the index: tantivy may come back to its lock after it has opened.
        """
        knowledge, lacking = read_knowledge(folder), LackingItems.open(folder / LACKING)
        links = tempfile.mkdtemp(prefix="shopfuse-lexical-")
        try:
            for path in folder.iterdir():
                (Path(links) / path.name).symlink_to(path.resolve())
            index = cls(tantivy.Index.open(links), knowledge, lacking)
        except (ValueError, OSError) as error:
            shutil.rmtree(links, ignore_errors=True)
            reason = str(error).replace(links, str(folder))
            raise ReleaseError(f"{folder}: not a whole lexical index ({reason})") from error
        weakref.finalize(index, shutil.rmtree, links, ignore_errors=True)
        return index

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def knows(self, query: str) -> bool:
        """Whether some item holds each of a query's words, however it is written."""
        return all(items_with(self._searcher, word) > 0 for word in self.read(query).words)

    def holds(self, word: str) -> bool:
        """Whether an item holds a word, in any form of it."""
        return any(term_frequency(self._searcher, stem) > 0 for stem in self.analyser.stems(word))

    def _together(self, words: Sequence[str]) -> bool:
        """Whether an item holds all of these indexed words."""
        return len(self._run(holding_all(self._schema, self._searcher, words), 1)) > 0

    def _phrase_counts(self, text: str) -> PhraseCounts:
        """Of the words of a text, in the language that has most items with them."""
        phrases = [words for words in self.analyser.in_order(text) if words]
        return max(map(self._counts, phrases), default=PhraseCounts(0, 0, 0))

    def _counts(self, words: tuple[str, ...]) -> PhraseCounts:
        counted = (side_by_side(self._schema, self._searcher, part) for part in (words, words[:1], words[-1:]))
        return PhraseCounts(*map(self._count, counted))

    def _unwanted(self, words: tuple[QueryWord, ...]) -> NDArray[np.int32]:
        """The rows of the items that have one of a query's unwanted words; not of those that say that they lack it."""
        parts = [NO_ROWS]
        for word in words:
            for form in word.forms:
                limit = min(term_frequency(self._searcher, term) for term in form) * len(TEXT_FIELDS)
                held = side_by_side if form in word.phrases else holding_all
                rows = self._run(held(self._schema, self._searcher, form), limit).rows if limit else NO_ROWS
                lacked = (*(() if form in word.phrases else form), *map(" ".join, word.phrases))
                parts.append(np.setdiff1d(rows, np.concatenate([self._lacking.of(one) for one in lacked])))
        return np.unique(np.concatenate(parts))

    def search(self, query: str, k: int, selection: Selection | None = None, as_typed: bool = False) -> Hits:
        """The k items with the highest BM25 for the query, those without any of its words left out."""
        words = self.read(query, as_typed).telling
        if not words or k <= 0 or len(self) == 0 or (selection is not None and selection.count == 0):
            return NO_HITS
        scoring = self._scoring(words)
        return self._run(scoring, k) if selection is None else self._search_selected(scoring, k, selection)

    def score(self, query: str, rows: NDArray[np.int32], as_typed: bool = False) -> NDArray[np.float32]:
        """The BM25 of rows, [n]; 0 where no word of the query occurs."""
        words = self.read(query, as_typed).telling
        if not words:
            return np.zeros(len(rows), np.float32)
        return self._score(self._scoring(words), words, rows)

    def coverage(self, query: str, rows: NDArray[np.int32], as_typed: bool = False) -> NDArray[np.float32]:
        """The share of the query's words that rows hold, rare words counting more, 0..1: [n]."""
        words = self.read(query, as_typed).words
        if not words:
            return np.zeros(len(rows), np.float32)
        return self._score(coverage_query(self._schema, self._searcher, words), words, rows)

    def _scoring(self, words: Sequence[QueryWord]) -> tantivy.Query:
        return scoring_query(self._schema, self._searcher, words)

    def terms(self) -> list[str]:
        """Every indexed word."""
        return sorted({term for field in TEXT_FIELDS for term, _ in self._searcher.terms_with_prefix(field, "")})

    def rows_with(self, term: str) -> NDArray[np.int32]:
        """The rows that hold an indexed word in any field, ascending."""
        return np.sort(self._run(anywhere(self._schema, self._searcher, term), len(self)).rows)

    def _score(
        self, scoring: tantivy.Query, words: Sequence[QueryWord], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """The score of rows, [n], by a query that matches items with any of `words`; 0 where it does not match."""
        if len(rows) == 0:
            return np.zeros(0, np.float32)
        terms = terms_of(words)
        matches = sum(self._searcher.doc_freq(field, term) for field in TEXT_FIELDS for term in terms)  # at most
        if matches <= MATCHES_PER_ROW * len(rows):
            hits = self._run(scoring, matches)
        else:
            hits = self._run(restricted(scoring, [with_rows(self._schema, rows)]), len(rows))
        if len(hits) == 0:
            return np.zeros(len(rows), np.float32)
        order = np.argsort(hits.rows)
        at = order[np.minimum(np.searchsorted(hits.rows, rows, sorter=order), len(order) - 1)]
        return np.where(hits.rows[at] == rows, hits.scores[at], 0.0).astype(np.float32)

    def _search_selected(self, scoring: tantivy.Query, k: int, selection: Selection) -> Hits:
        """Takes more and more of the best hits until k of them are selected, or there are no more hits."""
        clauses = narrowing(self._schema, selection)
        query = restricted(scoring, clauses)
        limit = SPARE_HITS + int(k if clauses else k / selection.share)
        while True:
            hits = self._run(query, limit)
            kept = np.flatnonzero(selection.mask[hits.rows])[:k]
            if len(kept) == k or len(hits) < limit:
                return Hits(hits.rows[kept], hits.scores[kept])
            limit *= 4

    def _count(self, query: tantivy.Query) -> int:
        found: Any = self._searcher.search(query, limit=1)  # its type knows no count
        return int(found.count)

    def _run(self, query: tantivy.Query, limit: int) -> Hits:
        best_first = self._searcher.search(query, limit=max(min(limit, len(self)), 1), count=False).hits
        if not best_first:
            return NO_HITS
        rows = self._searcher.fast_field_values(ROW_FIELD, [address for _, address in best_first])
        scores = np.fromiter((score for score, _ in best_first), np.float32, len(best_first))
        return best(np.array(rows, np.int32), scores, limit)
